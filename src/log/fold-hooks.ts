import type { HookDecided } from "./entry.ts";
import { replaceCall } from "./fold-answers.ts";
import { addNote, updateRun } from "./fold-messages.ts";
import { noteText } from "./notes.ts";
import { type Draft, hookKey, type Unanswered } from "./state.ts";

/** What the answers of hooks change. Steps of `fold.ts`. */

export function applyHook(state: Draft, entry: HookDecided): void {
  // One that has said no is asked again by the next run, so that the session does not begin without it.
  if (entry.point !== "sessionStart") state.hooks.set(hookKey(entry), entry);
  else if (!entry.blocks) state.sessionHooks.add(entry.hook);
  if (entry.decision === "change" && entry.point === "beforeTool") {
    replaceCall(state, entry.subject, (call) => ({ ...call, amended: { input: entry.input } }));
  }
  if (entry.decision === "end" || (entry.blocks && ENDING.has(entry.point))) {
    updateRun(state, (run) => ({ ...run, ending: "hook" }));
  }
  if (entry.blocks && entry.point === "input") {
    withhold(state, entry.subject, noteText(`hook ${entry.hook}`, "A message was withheld here."));
  }
  if (entry.context !== undefined) addNote(state, `hook ${entry.hook}`, entry.context);
  // A run that may not end goes on with the reason for it: a request has to have something to answer.
  if (entry.point === "runEnd" && entry.decision === "veto") {
    if (entry.context === undefined) addNote(state, `hook ${entry.hook}`, entry.reason ?? NOT_DONE);
    updateRun(state, (run) => ({ ...run, answered: null }));
  }
}

/** A message that a hook does not let pass is not shown to any model, in this run or later. */
function withhold(state: Draft, inboxId: string, text: string): void {
  const blocks = [{ type: "text", text } as const];
  state.deferred = state.deferred.map((message) =>
    message.inboxId === inboxId ? { blocks, delivery: "note", stopped: message.stopped } : message,
  );
  const input = state.inputs.find((each) => each.inboxId === inboxId);
  const index = state.messages.findLastIndex(
    (message) => message.role === "user" && message.blocks === input?.blocks,
  );
  // Another array, since whoever remembers something of a transcript relies on it that it only grows at its end.
  if (index >= 0) state.messages = state.messages.with(index, { role: "user", blocks });
  state.inputs = state.inputs.filter((each) => each !== input);
  state.said = state.said.filter((each) => each.inboxId !== inboxId);
  updateRun(state, (run) => ({ ...run, unseen: withoutMessage(run.unseen, inboxId) }));
}

function withoutMessage(unseen: Unanswered | null, inboxId: string): Unanswered | null {
  if (unseen === null) return null;
  const messages = unseen.messages.filter((each) => each !== inboxId);
  return messages.length === 0 ? null : { ...unseen, messages };
}

const NOT_DONE = "You are not done yet: go on with the work.";

/** Points at which "no" is the end of the run: there is nothing else to go on with. */
const ENDING: ReadonlySet<HookDecided["point"]> = new Set(["sessionStart", "input", "beforeModel"]);
