import type { Agent } from "../../agents/agent.ts";
import { assemble } from "../../context/assemble.ts";
import { roomForSummary, type Summarise } from "../../context/compaction.ts";
import { recentGroups } from "../../context/groups.ts";
import { prefixOf } from "../../context/prefix.ts";
import { omissionMessage, summaryRequest } from "../../context/summary.ts";
import { random } from "../../lib/ids.ts";
import { raceSignal } from "../../lib/streams.ts";
import type { Message } from "../../log/content.ts";
import { messagesOfNextRequest } from "../../log/fold-messages.ts";
import type { ModelAnswer, ModelFacts, ModelRequest } from "../../models/model.ts";
import { isLostCall, retryDelay } from "../after-failure.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { ASSUMED_OUTPUT_TOKENS, type CallSize } from "../turn/budget.ts";
import { readToEnd } from "../turn/read-to-end.ts";
import { recordCall } from "../turn/record-call.ts";

export type Asked =
  | { readonly ok: true; readonly answer: ModelAnswer }
  /** `reason` is for people. */
  | { readonly ok: false; readonly reason: string };

/** How often one summary is asked for when what went wrong passes by itself. */
const TRIES = 3;

/**
 * Asks the run's model for a summary of the conversation. Appends a `modelCalled` for each try, and a `modelFailed` for each
 * that failed. Null when it was stopped or abandoned, or waits for a person to raise a budget.
 */
export async function askForSummary(
  plan: Summarise,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<Asked | null> {
  const { clock } = ports;
  const { id: runId, model } = currentRun(writer);
  const cancel = control.cancelSignal();
  // What comes from now on is not summarised, and hooks have not been asked about it.
  const count = messagesOfNextRequest(writer.state).length;
  let isShortened = false;
  for (let attempt = 1; ; attempt++) {
    const put = () => putQuestion(plan, writer, agent, ports, { count, isShortened });
    const recorded = await recordCall(
      () => ({ attempt, purpose: "summary", ...prefixOfQuestion(put(), model, writer, agent) }),
      writer,
      agent,
      ports,
      control,
      sizeOf(plan, put(), ports.facts(agent, model)),
    );
    // Asked anew: what came while it was recorded is heard behind it.
    if (recorded === null || control.cancelSignal().aborted) return null;
    const { request } = put();
    const { maxOutputTokens } = recorded;
    const affordable = maxOutputTokens === null ? request : { ...request, maxOutputTokens };

    const started = clock.monotonic();
    const last = await raceSignal(readToEnd(ports, agent, model, affordable, cancel), cancel, null);
    if (last === null || cancel.aborted) return null;
    if (last.type === "finished") return { ok: true, answer: last.answer };

    const { failure, hasBegun } = last;
    const durationMs = Math.round(clock.monotonic() - started);
    const failed = {
      type: "modelFailed",
      runId,
      model,
      attempt,
      failure,
      durationMs,
      purpose: "summary",
    } as const;
    writer.append(isLostCall(failure, hasBegun) ? { ...failed, lostCall: true } : failed);
    if (failure.kind === "contextOverflow" && !isShortened) {
      isShortened = true;
      continue;
    }
    const delay = attempt < TRIES ? retryDelay(attempt, failure) : null;
    if (delay === null) return { ok: false, reason: `the model did not write a summary: ${failure.message}` };
    const { atLeastMs, atMostMs } = delay;
    await clock.sleep(atLeastMs + random() * (atMostMs - atLeastMs), cancel).catch(() => {});
    if (cancel.aborted) return null;
  }
}

// ---- the question ----

interface Question {
  readonly request: ModelRequest;
  /** It begins with the whole transcript, so that what it shares with the request before it can be told. */
  readonly isWhole: boolean;
}

/** For a model that thinks before it writes. */
const THINKING_TOKENS = 8_000;
/** Of the limit: what is summarised where all of it is too long. */
const SHORTENED_SHARE = 0.5;
const OMISSION_SHARE = 0.05;

/**
 * The conversation with a question at its end, so that the provider's cache serves it. Where it was too long already, it is
 * cut at its end, which the cache does not mind: the newest groups stay in the transcript anyway. Where that is too long,
 * too, it is cut at its beginning.
 */
function putQuestion(
  plan: Summarise,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  { count, isShortened }: { readonly count: number; readonly isShortened: boolean },
): Question {
  const { state, lease } = writer;
  const { maxOutput, images } = ports.facts(agent, currentRun(writer).model);
  const request = assemble(lease.sessionId, state, agent, { images });
  const messages = request.messages.slice(0, plan.isOverflow ? plan.keepFrom : count);
  const room = roomForSummary(plan);
  const asking = withMessages(request, [
    ...(isShortened ? withoutOldest(messages, plan) : messages),
    summaryRequest(room),
  ]);
  const isWhole = !isShortened && messages.length === request.messages.length;
  if (maxOutput === null) return { request: asking, isWhole };
  const wanted = Math.round(room * 2) + THINKING_TOKENS;
  const maxOutputTokens = Math.min(wanted, request.maxOutputTokens ?? maxOutput, maxOutput);
  return { request: { ...asking, maxOutputTokens }, isWhole };
}

function withoutOldest(messages: readonly Message[], { limit, scale }: Summarise): readonly Message[] {
  const from = recentGroups(messages, (SHORTENED_SHARE * limit) / scale, { last: false });
  const note = omissionMessage(messages.slice(0, from), (OMISSION_SHARE * limit) / scale);
  return [note, ...messages.slice(from)];
}

/** What was cut off cannot be cached. */
function withMessages(request: ModelRequest, messages: readonly Message[]): ModelRequest {
  const { cache } = request;
  if (cache === undefined) return { ...request, messages };
  const breakpoints = cache.breakpoints.filter(
    (point) => point.after === "system" || request.messages[point.index] === messages[point.index],
  );
  return { ...request, messages, cache: { ...cache, breakpoints } };
}

function prefixOfQuestion(
  { request, isWhole }: Question,
  model: string,
  { state }: SessionWriter,
  agent: Agent,
) {
  return isWhole ? { prefix: prefixOf(request, model, state, agent) } : {};
}

function sizeOf({ tokensBefore }: Summarise, { request }: Question, { maxOutput }: ModelFacts): CallSize {
  return {
    inputTokens: Math.ceil(tokensBefore * QUESTION_MARGIN),
    outputTokens: request.maxOutputTokens ?? maxOutput ?? ASSUMED_OUTPUT_TOKENS,
  };
}

/** The question itself, and what estimates are off. */
const QUESTION_MARGIN = 1.15;
