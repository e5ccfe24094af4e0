import type { Agent } from "../../agents/agent.ts";
import { nearest } from "../../lib/json.ts";
import type { HookDecided } from "../../log/entry.ts";
import type { Approval, OpenCall, SessionState } from "../../log/state.ts";

/** What the model is told of calls that did not start: why, and what it may do instead. */

export function rejectedText(name: string, actor: string | null, feedback?: string): string {
  const why = feedback === undefined || feedback.trim() === "" ? "" : ` and says: ${feedback.trim()}`;
  return `${name} was not started: ${actor ?? "a person"} does not allow it${why}${why === "" ? "." : ""}\nDo not try it again in another way. Go on with what you can do without it, or ask what to do instead.`;
}

export function respondedText(actor: string | null, value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `Not started: ${actor ?? "a person"} has answered in its place:\n${text}`;
}

export function expiredText(name: string): string {
  return `${name} was not started: nobody has answered in time whether it may. That is not a refusal: nobody has decided anything. Go on with what you can do without it, and say what is left to be decided.`;
}

export function doneText(name: string, { actor, answer }: Approval): string {
  const note = answer.action === "done" && answer.note !== undefined ? `: ${answer.note}` : ".";
  return `${name} had been started when the runtime was interrupted. ${actor ?? "A person"} has looked and says that it was done${note}`;
}

/** What the model is told of a call that came to nothing because of what happened meanwhile. */
export const NOT_STARTED = {
  stopped: "Not started: the run was stopped.",
  timeUp: "Not started: the run has reached its time limit.",
  hook: "Not started: a hook has ended the run.",
  abandoned:
    "Not started: nobody has answered for so long that the run was given up. That is not a refusal: nobody has decided anything.",
  steered: "Not started: the user has sent a message meanwhile. Read it before you go on.",
} as const;

export function vetoText(name: string, { hook, reason = "it gave no reason" }: HookDecided): string {
  return `${name} was not started: the hook "${hook}" does not allow it (${reason}). Do not try it again in another way; say what you cannot do.`;
}

export function classifierText(name: string, reason: string): string {
  return `${name} was not started: a check of what it would do does not allow it (${reason}). Do not try it again in another way; say what you cannot do, or ask the user.`;
}

export function failedBeforeText({ name, callId }: OpenCall): string {
  return (
    `Not started: ${name} (${callId}), which stands before it in the same answer, did not succeed. ` +
    "Look at its result, then send this call again if it is still right."
  );
}

/** The model does not know what a hook has made of its arguments, and must not be blamed for it. */
export function misfitText(
  { callId, name, input, amended }: OpenCall,
  complaint: string,
  state: SessionState,
): string {
  if (amended === null) return `The arguments do not fit ${name}, so it was not started:\n${complaint}`;
  const changed = [...state.hooks.values()].findLast(
    ({ point, subject, decision }) => point === "beforeTool" && subject === callId && decision === "change",
  );
  if (changed === undefined) {
    return `${name} was not started: a person has changed your arguments to ${JSON.stringify(input)}, and these do not fit any more:\n${complaint}`;
  }
  const by = `the hook "${changed.hook}"`;
  return (
    `${name} was not started: ${by} has changed your arguments to ${JSON.stringify(input)}, and these do not fit:\n` +
    `${complaint}\nThe mistake is the hook's, not yours. Say so to the user if you cannot go on without this call.`
  );
}

/** Names a few that could be meant instead of all: there may be hundreds. */
export function unknownToolText(name: string, agent: Agent): string {
  const names = [...agent.tools.keys()];
  const near = nearest(name, names);
  const hint = near === undefined ? `Tools: ${names.slice(0, 40).join(", ")}.` : `Did you mean "${near}"?`;
  return `There is no tool named "${name}". ${hint}`;
}

export function nobodyText(
  name: string,
  approvers: readonly string[],
  requesters: readonly string[],
): string {
  return (
    `${name} was not started: a person has to allow it. Those who may are ${approvers.join(", ")}, ` +
    `and too few of them have not asked for it themselves (${requesters.join(", ")}). Say what you cannot do.`
  );
}
