import type { Message, UserBlock } from "./content.ts";
import { noteText } from "./notes.ts";
import {
  type DeferredMessage,
  type Draft,
  type RunState,
  type SessionState,
  UNNAMED,
  type Unanswered,
} from "./state.ts";

/** How messages of people and notes of the runtime find their place in the transcript. Steps of `fold.ts`. */

function isBetweenTurns(state: SessionState): boolean {
  return state.openCalls.length === 0 && (state.run?.attempts ?? 0) === 0;
}

export function defer(state: Draft, message: DeferredMessage): void {
  state.deferred.push(message);
  if (isBetweenTurns(state)) takeDeferred(state);
}

export function addNote(state: Draft, source: string, text: string): void {
  const blocks = [{ type: "text" as const, text: noteText(source, text) }];
  defer(state, { blocks, delivery: "note", stopped: false });
}

/** Moves the messages that waited into the transcript: to the run that is under way, or else to the next one. */
export function takeDeferred(state: Draft): void {
  const waiting: DeferredMessage[] = [];
  for (const message of state.deferred) {
    if (mustWait(message, state)) waiting.push(message);
    else show(message, state);
  }
  state.deferred = waiting;
}

/** The transcript as the next request shows it: with what joins it when the request is sent. */
export function messagesOfNextRequest(state: SessionState): readonly Message[] {
  const joining = state.deferred.filter((message) => !mustWait(message, state));
  if (joining.length === 0) return state.messages;
  return [...state.messages, ...joining.map(({ blocks }) => ({ role: "user" as const, blocks }))];
}

/** Each message that is to be answered by a run of its own waits until no other run has anything to answer. */
function mustWait({ delivery, stopped }: DeferredMessage, state: SessionState): boolean {
  return delivery === "followUp" && !stopped && (state.run !== null || state.unanswered !== null);
}

export function show(message: DeferredMessage, state: Draft): void {
  const { inboxId, blocks, delivery, stopped } = message;
  state.messages.push({ role: "user", blocks });
  if (inboxId !== undefined) hear(state, inboxId, blocks);
  if (stopped || delivery === "note" || inboxId === undefined) return;
  if (state.run === null || state.run.stopRequested) {
    state.unanswered = withMessage(state.unanswered, inboxId, message);
  } else {
    const { run } = state;
    const actors = withActor(run.actors, message.actor);
    state.run = { ...run, answered: null, actors, unseen: withMessage(run.unseen, inboxId, message) };
  }
}

/** How many messages of people are remembered for whoever has to know what they want. */
const SAID = 6;
const MAX_SAID = 2_000;

/** A message joins the transcript. What was decided before, by what had been said until then, does not outlive it. */
export function hear(state: Draft, inboxId: string, blocks: readonly UserBlock[]): void {
  state.inputs.push({ inboxId, blocks });
  state.said = [...state.said, { inboxId, text: shortText(blocks) }].slice(-SAID);
  state.classified.clear();
}

function shortText(blocks: readonly UserBlock[]): string {
  const text = blocks
    .map((block) => (block.type === "text" ? block.text : `[${block.mediaType}]`))
    .join("\n");
  const more = text.length - MAX_SAID;
  return more <= 0 ? text : `${text.slice(0, MAX_SAID)} [... ${more} characters more]`;
}

function withMessage(
  before: Unanswered | null,
  inboxId: string,
  { model, actor }: Pick<DeferredMessage, "model" | "actor">,
): Unanswered {
  const messages = [...(before?.messages ?? []), inboxId];
  const actors = withActor(before?.actors ?? [], actor);
  return { model: model ?? before?.model, messages, stopRequested: false, actors };
}

/** Whoever does not say who they are is somebody else, too. */
function withActor(actors: readonly string[], actor = UNNAMED): readonly string[] {
  return actors.includes(actor) ? actors : [...actors, actor];
}

/** A stop ends what was asked for before it, and nothing that is asked for after it. */
export function applyStop(state: Draft): void {
  state.deferred = state.deferred.map((message) => ({ ...message, stopped: true }));
  if (state.unanswered !== null) state.unanswered = { ...state.unanswered, stopRequested: true };
  updateRun(state, (run) => ({ ...run, stopRequested: true, unseen: null }));
}

export function updateRun(state: Draft, change: (run: RunState) => RunState): void {
  if (state.run !== null) state.run = change(state.run);
}
