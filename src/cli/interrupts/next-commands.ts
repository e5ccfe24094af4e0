import type { InterruptRecord } from "../../run/session/interrupts.ts";
import { enoughFor } from "../../run/turn/budget.ts";

/** What to type to answer, for each open question the likeliest ways. A session with a single one is named by its own id. */
export function nextCommands(open: readonly InterruptRecord[], place: readonly string[]): readonly string[] {
  return open.toReversed().flatMap((interrupt) => {
    const name = open.length === 1 ? interrupt.sessionId : interrupt.id;
    return waysToAnswer(interrupt, (command, ...options) =>
      [`holdfast ${command}`, name, ...place, ...options].join(" "),
    );
  });
}

type Write = (command: string, ...options: readonly string[]) => string;

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
