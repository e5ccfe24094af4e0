import type { InterruptRecord } from "../../run/session/interrupts.ts";
import { enoughFor } from "../../run/turn/budget.ts";

/**
 * What to type to answer all that a session asks, for each open question the likeliest ways. A single one is named by the session's
 * id.
 */
export function nextCommands(open: readonly InterruptRecord[], place: readonly string[]): readonly string[] {
  return open
    .toReversed()
    .flatMap((interrupt) =>
      waysToAnswer(interrupt, writer(open.length === 1 ? interrupt.sessionId : interrupt.id, place)),
    );
}

/** The same for one question, of which its session may ask more. */
export function commandsFor(interrupt: InterruptRecord, place: readonly string[]): readonly string[] {
  return waysToAnswer(interrupt, writer(interrupt.id, place));
}

type Write = (command: string, ...options: readonly string[]) => string;

function writer(name: string, place: readonly string[]): Write {
  return (command, ...options) => [`holdfast ${command}`, name, ...place, ...options].join(" ");
}

function waysToAnswer({ request }: InterruptRecord, write: Write): readonly string[] {
  switch (request.kind) {
    case "approval":
    case "breakpoint":
      return [write("approve"), write("reject", '--feedback "..."')];
    case "question":
    case "auth":
      return [write("interrupts answer", '--respond "..."')];
    case "outcome":
      return [write("interrupts show"), write("interrupts answer", "--done", "(or --retry, --skip)")];
    case "budget":
      return [write("interrupts answer", "--raise", String(enoughFor(request.budget)))];
  }
}
