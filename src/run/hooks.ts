import type { Agent } from "../agents/agent.ts";
import type { Hook, HookAnswer, HookQuestion } from "../hooks/hook.ts";
import { errorMessage } from "../lib/errors.ts";
import { withoutUndefined } from "../lib/json.ts";
import type { HookDecided, HookPoint } from "../log/entry.ts";
import { hookKey, type Input, type RunState, type SessionState } from "../log/state.ts";
import { matchesPattern } from "../permissions/rules.ts";
import { textOf } from "./hook-question.ts";
import type { LoopControl, LoopPorts } from "./loop-ports.ts";
import { currentRun, type SessionWriter } from "./session-writer.ts";

/** A point of a run, and what is asked about there. */
export interface HookMoment {
  readonly point: HookPoint;
  readonly subject: string;
  /** For `beforeTool` and `afterTool`. */
  readonly tool?: string;
}

/** The first moment before the next request at which hooks have not been asked; null when all have been. @pure */
export function hookDue(state: SessionState, agent: Agent): HookMoment | null {
  if (agent.hooks.length === 0) return null;
  return momentsBeforeRequest(state).find((moment) => hasUnasked(moment, state, agent)) ?? null;
}

/** @pure */
export function hasUnasked(moment: HookMoment, state: SessionState, agent: Agent): boolean {
  return unasked(moment, state, agent).length > 0;
}

/** What hooks have decided at a moment that was asked about; the one that says no, if there is one. @pure */
export function vetoOf({ point, subject }: HookMoment, state: SessionState): HookDecided | undefined {
  for (const decided of state.hooks.values()) {
    if (decided.point === point && decided.subject === subject && decided.blocks) return decided;
  }
  return undefined;
}

/** The hook that wants a person to decide about a call, if there is one. @pure */
export function askOf(callId: string, state: SessionState): HookDecided | undefined {
  for (const decided of state.hooks.values()) {
    if (decided.point === "beforeTool" && decided.subject === callId && decided.decision === "ask")
      return decided;
  }
  return undefined;
}

/** The number of the turn that the run is in, from 1. */
export function turnSubject({ id, turns, attempts }: RunState): string {
  return `${id} ${attempts > 0 ? turns : turns + 1}`;
}

function momentsBeforeRequest(state: SessionState): readonly HookMoment[] {
  const { run } = state;
  if (run === null) return [];
  return [
    { point: "sessionStart", subject: run.id },
    ...inputsOfRequest(state).map(({ inboxId }) => ({ point: "input" as const, subject: inboxId })),
    { point: "beforeModel", subject: turnSubject(run) },
  ];
}

/** The messages that no model has seen yet and the next request holds, those included that join it when it is sent. */
function inputsOfRequest({ inputs, deferred }: SessionState): readonly Input[] {
  const joining = deferred.flatMap(({ inboxId, blocks, delivery }) =>
    inboxId === undefined || delivery === "followUp" ? [] : [{ inboxId, blocks }],
  );
  return [...inputs, ...joining];
}

function unasked(moment: HookMoment, state: SessionState, agent: Agent): readonly Hook[] {
  // Where one has said no, the others need not be asked.
  if (vetoOf(moment, state) !== undefined) return [];
  return agent.hooks.filter((hook) => isMeant(hook, moment) && !hasAnswered(hook, moment, state));
}

function isMeant(hook: Hook, { point, tool }: HookMoment): boolean {
  if (hook.point !== point) return false;
  return (
    hook.tools === null || (tool !== undefined && hook.tools.some((pattern) => matchesPattern(tool, pattern)))
  );
}

function hasAnswered({ name }: Hook, { point, subject }: HookMoment, state: SessionState): boolean {
  return point === "sessionStart"
    ? state.sessionHooks.has(name)
    : state.hooks.has(hookKey({ point, subject, hook: name }));
}

/**
 * Asks the hooks of a moment, in order, until one says no, or changes what the next one would be asked about. Appends a
 * `hookDecided` for each. Returns early, without one, when the run is stopped or out of time, or the session abandoned.
 * @param about what the question says besides session and run.
 */
export async function askHooks(
  moment: HookMoment,
  about: Readonly<Record<string, unknown>>,
  writer: SessionWriter,
  agent: Agent,
  { clock }: Pick<LoopPorts, "clock">,
  control: LoopControl,
): Promise<void> {
  const { point, subject } = moment;
  const { id: runId } = currentRun(writer);
  const { sessionId } = writer.lease;
  const cancel = control.cancelSignal();
  for (const hook of unasked(moment, writer.state, agent)) {
    if (cancel.aborted) return;
    const began = clock.monotonic();
    const question = { point, agent: agent.name, sessionId, runId, ...about };
    const verdict = await ask(hook, question, cancel);
    if (cancel.aborted) return;
    const decided: HookDecided = {
      type: "hookDecided",
      runId,
      hook: hook.name,
      point,
      subject,
      ...verdict,
      durationMs: Math.round(clock.monotonic() - began),
    };
    writer.append(decided);
    if (decided.blocks || decided.decision === "change") return;
  }
}

type Verdict = Pick<HookDecided, "decision" | "blocks" | "reason" | "input" | "context">;

async function ask(hook: Hook, question: HookQuestion, cancel: AbortSignal): Promise<Verdict> {
  const limit = AbortSignal.timeout(hook.timeoutMs);
  const signal = AbortSignal.any([cancel, limit]);
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  // Not even a hook that does not heed its signal holds up the run.
  signal.addEventListener("abort", () => late.reject(signal.reason), { once: true });
  try {
    return toVerdict(await Promise.race([hook.ask(question, signal), late.promise]), question.point);
  } catch (error) {
    const blocks = hook.onFailure === "block";
    return limit.aborted
      ? { decision: "timedOut", blocks, reason: `it did not answer within ${hook.timeoutMs / 1_000} s` }
      : { decision: "failed", blocks, reason: errorMessage(error) };
  }
}

function toVerdict(answer: HookAnswer, point: HookPoint): Verdict {
  const { decision = "allow", reason, input, context } = answer;
  const changes = decision === "allow" && input !== undefined && point === "beforeTool";
  return withoutUndefined({
    decision: changes ? ("change" as const) : decision,
    blocks: decision !== "allow" && decision !== "ask",
    reason,
    input: changes ? input : undefined,
    context,
  });
}

/** What a question says about a moment that is no tool call. @pure */
export function aboutMoment({ point, subject }: HookMoment, state: SessionState): Record<string, unknown> {
  const { run, messages } = state;
  switch (point) {
    case "input":
      return {
        message: textOf(inputsOfRequest(state).find(({ inboxId }) => inboxId === subject)?.blocks ?? []),
      };
    case "beforeModel":
      return { model: run?.model, turn: (run?.turns ?? 0) + 1, costUsd: run?.costUsd };
    case "beforeCompact":
      return { model: run?.model, tokens: state.measured?.tokens, messages: messages.length };
    case "runEnd": {
      const last = messages.findLast(({ role }) => role === "assistant");
      return { answer: last?.role === "assistant" ? textOf(last.blocks) : "", turns: run?.turns };
    }
    default:
      return {};
  }
}
