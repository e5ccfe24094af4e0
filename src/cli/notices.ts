import { jsonText } from "./printable.ts";
import { plain } from "./render/plain.ts";
import { stylerFor, type Terminal } from "./terminal.ts";

/** What a person should know besides what was asked for: on standard error, each thing once. */
export interface Notices {
  tell(notice: string): void;
  /** Prints through this from now on, so that a line which is being rewritten is not torn. */
  through(print: (line: string) => void): Disposable;
}

export function createNotices(terminal: Terminal, { json }: { readonly json: boolean }): Notices {
  const style = stylerFor(terminal.stderr, terminal.env);
  const told = new Set<string>();
  const direct = (line: string) => terminal.stderr.write(`${line}\n`);
  let print: (line: string) => void = direct;
  return {
    tell(notice) {
      if (told.has(notice)) return;
      told.add(notice);
      print(json ? jsonText({ notice }) : `${style("yellow", "note:")} ${plain(notice)}`);
    },
    through(other) {
      print = other;
      return {
        [Symbol.dispose]() {
          print = direct;
        },
      };
    },
  };
}

/** For a session that was named and is made: it may be a slip in the id of another. */
export function isNewSession(id: string): string {
  return `there was no session ${id}; it is new`;
}
