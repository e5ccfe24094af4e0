import type { InterruptAnswer } from "../../log/entry.ts";
import type { Dialogue } from "./dialogue.ts";

const PROMPT = "[d] it is done  [t] try it again  [s] leave it  [enter] later: ";

/** What became, or is to become, of a call whose outcome nobody knows. */
export async function askAboutOutcome({ ask, say }: Dialogue): Promise<InterruptAnswer | null> {
  for (;;) {
    const line = (await ask(PROMPT))?.trim();
    if (line === undefined || line === "") return null;
    if (line === "d") {
      const note = await ask("What came of it, for the agent (or nothing): ");
      if (note === null) return null;
      return note.trim() === "" ? { action: "done" } : { action: "done", note: note.trim() };
    }
    if (line === "t") return { action: "retry" };
    if (line === "s") return { action: "skip" };
    say("Type d, t or s.");
  }
}
