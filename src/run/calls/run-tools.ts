import type { LoopControl } from "../loop-ports.ts";
import type { SessionWriter } from "../session-writer.ts";
import type { Calls } from "./calls.ts";

/**
 * Gives every open call its result, those included that began while their answer was still being written; each result is on
 * disk as soon as it is there. Returns with calls left open when the session is abandoned, and, as soon as none is under way,
 * when this process is to let go of it.
 */
export async function runTools(calls: Calls, writer: SessionWriter, control: LoopControl): Promise<void> {
  while (!control.abandoned.aborted) {
    if (!control.draining()) startDue(calls, writer);
    if (calls.underWay === 0) return;
    await calls.ended();
  }
}

/** Asks anew after each one: what came of it, or what arrived meanwhile, can change what becomes of the next. */
function startDue(calls: Calls, writer: SessionWriter): void {
  for (;;) {
    const plan = calls.next(writer.state.openCalls);
    if (plan === null) return;
    void calls.perform(plan);
  }
}
