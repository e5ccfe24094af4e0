import type { Approval } from "../../log/state.ts";

/** What the model is told of a call that a person, or the time for an answer, has decided about. */

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
