import { sha256 } from "../lib/ids.ts";
import type { ToolResultMessage } from "./content.ts";
import { noUsage } from "./content.ts";
import type { Entry, HeadMoved, PermissionsOfSession, SessionCreated } from "./entry.ts";
import { showAnswer } from "./fold-answers.ts";
import { hear } from "./fold-messages.ts";
import type { Draft, OpenCall, OpenInterrupt, RunState, SessionState } from "./state.ts";
import { questionAbout } from "./state.ts";

/** What it means to go on at an earlier point, in another session or in the same one. Steps of `fold.ts`. */

/**
 * A fork shares the history, not the work: what was under way goes on in the session that it came from, and only there. A run
 * that waits for people may wait in both: nothing of it is under way, and each can be answered differently.
 */
export function applyFork(state: Draft, entry: Entry & SessionCreated): void {
  if (entry.waits === true && canWaitInFork(state)) waitInFork(state, entry);
  else leaveRunBehind(state, FORKED_BEFORE_RESULT);
  // What the shared history cost is on the account of the session that it came from.
  Object.assign(state, { usage: noUsage, costUsd: 0, unpricedCalls: 0, lostUsd: 0, raisedUsd: null });
  keepPermissions(state, entry);
}

/** What stood behind the point that the head was moved to is not part of this path; what it cost is. */
export function applyMove(state: Draft, entry: HeadMoved): void {
  leaveRunBehind(state, MOVED_BEFORE_RESULT);
  Object.assign(state, entry.spent);
  keepPermissions(state, entry);
  // The calls of the branches that were left have results under their ids.
  state.knowsAllCallIds = false;
}

/** What people have made of a session's permissions, to be kept over a move or a fork. @pure */
export function permissionsOf({ mode, rules }: Pick<SessionState, "mode" | "rules">): PermissionsOfSession {
  return { ...(mode === null ? {} : { mode }), rules };
}

function keepPermissions(state: Draft, { permissions }: Pick<HeadMoved, "permissions">): void {
  if (permissions === undefined) return;
  state.mode = permissions.mode ?? null;
  state.rules = [...permissions.rules];
}

const FORKED_BEFORE_RESULT =
  "No result: this session was forked from another one while the call was under way there.";
const MOVED_BEFORE_RESULT =
  "No result: the session was moved back to the moment before this call had one. Whatever the call did since stays done; the files of the workspace may be as they were then.";

function leaveRunBehind(state: Draft, text: string): void {
  // Of an answer that was still being written, what was complete: results must have their calls before them.
  const part = state.run?.part ?? null;
  if (part !== null) showAnswer(state, part);
  if (state.openCalls.length > 0) {
    state.messages.push({ role: "tool", results: state.openCalls.map((call) => resultOr(call, text)) });
  }
  for (const { blocks, inboxId } of state.deferred) {
    state.messages.push({ role: "user", blocks });
    if (inboxId !== undefined) hear(state, inboxId, blocks);
  }
  state.openCalls = [];
  state.deferred = [];
  state.run = null;
  state.unanswered = null;
  // What hooks have said about a run does not hold for the next one, whose turns have the same numbers.
  for (const [key, { point }] of state.hooks) if (point !== "input") state.hooks.delete(key);
}

function resultOr({ callId, name, result }: OpenCall, text: string): ToolResultMessage {
  return result ?? { callId, name, blocks: [{ type: "text", text }], isError: true };
}

/** Whether a fork at this point can wait for the same answers: people are asked, and no request is under way. @pure */
export function canWaitInFork({ run }: SessionState): boolean {
  if (run === null || run.interrupts.length === 0 || run.ending !== null || run.stopRequested) return false;
  return run.part === null && !run.calling;
}

function waitInFork(state: Draft, { id, at }: Entry): void {
  const { run } = state;
  if (run === null) return;
  state.openCalls = state.openCalls.map((call) => callInFork(call, run));
  state.run = {
    ...run,
    interrupts: run.interrupts.map((open) => forkedInterrupt(open, id, at)),
    // The time for which it has waited elsewhere does not count against its limit.
    startedAt: run.startedAt + (at - (run.askingSince ?? at)),
    askingSince: at,
    ...{ costUsd: 0, lostUsd: 0, reservedUsd: 0, raisedUsd: null, resumes: 0 },
  };
}

/**
 * What has started goes on elsewhere. A tool that had asked a question is started by each of the two for itself; what nobody
 * knows the outcome of is one operation for both.
 */
function callInFork(call: OpenCall, run: RunState): OpenCall {
  if (call.result !== null || call.started === null) return call;
  const question = questionAbout(call.callId, run);
  if (question?.request.kind === "outcome") return call;
  if (call.suspended) return { ...call, started: null };
  return { ...call, result: resultOr(call, FORKED_BEFORE_RESULT) };
}

/** A question as a fork asks it: under an id of its own, and open for as long as it was when it was first asked. @pure */
export function forkedInterrupt<Open extends OpenInterrupt>(open: Open, forkEntry: string, at: number): Open {
  const later = at - open.at;
  const { expiresAt, remindAt, abandonAt, ...request } = open.request;
  return {
    ...open,
    at,
    interruptId: forkedInterruptId(forkEntry, open.interruptId),
    request: {
      ...request,
      ...(expiresAt === undefined ? {} : { expiresAt: expiresAt + later }),
      ...(remindAt === undefined ? {} : { remindAt: remindAt.map((each) => each + later) }),
      ...(abandonAt === undefined ? {} : { abandonAt: abandonAt + later }),
    },
  };
}

/**
 * Ids of questions are unique over all sessions, and stay what they are when a session is taken elsewhere under another id: so
 * it is the entry of the fork that goes into them. @pure
 */
export function forkedInterruptId(forkEntry: string, interruptId: string): string {
  return `int_${sha256(`${forkEntry}\n${interruptId}`, 26)}`;
}
