/** What a command starts, besides doing its own work. */
export interface Opened {
  /** It does nothing else. */
  readonly isWrapper: boolean;
  readonly commands: readonly InnerCommand[];
  readonly scripts: readonly { readonly text: string; readonly shell: "same" | "bash" | "sh" }[];
  /** Why it may do more than can be seen. */
  readonly opaque: readonly string[];
  /** Where it goes to (`cd`); UNSEEN where that is not known. */
  readonly directories: readonly string[];
  /** It gives variables a text that is not seen. */
  readonly setsVariables: boolean;
}

export interface InnerCommand {
  readonly words: readonly string[];
  /** The index of its name, where it is the end of the outer command's words as they are. */
  readonly from?: number;
}

export const NOTHING_INSIDE: Opened = {
  isWrapper: false,
  commands: [],
  scripts: [],
  opaque: [],
  directories: [],
  setsVariables: false,
};

export function opaqueBecause(why: string | null): Opened {
  return why === null ? NOTHING_INSIDE : { ...NOTHING_INSIDE, opaque: [why] };
}
