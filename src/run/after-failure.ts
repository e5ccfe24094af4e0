import type { Agent } from "../agents/agent.ts";
import type { ModelFailure, ModelFailureKind, RunFailed } from "../log/entry.ts";
import type { RunState } from "../log/state.ts";

/**
 * Whether a request that failed may have to be paid for, nobody knows how much: a part of its answer had come, or the provider
 * was given up after it had been silent for long, as models are while they think.
 */
export function isLostCall({ kind }: ModelFailure, hasBegun: boolean): boolean {
  return hasBegun || kind === "timeout";
}

/** What to do about a model call that failed. */
export type AfterFailure =
  | { readonly type: "retry"; readonly delay: RetryDelay }
  /** Make the transcript shorter, then try again. */
  | { readonly type: "compact" }
  | { readonly type: "switch"; readonly to: string; readonly why: ModelFailureKind }
  | { readonly type: "fail"; readonly error: RunFailed["error"] };

/** Milliseconds. A random time from `atLeastMs` to `atMostMs`, so that many sessions do not come back at once. */
export interface RetryDelay {
  /** What the provider asked for. */
  readonly atLeastMs: number;
  readonly atMostMs: number;
}

/** How often a turn is tried with one model. Kinds that are not here are no better the second time. */
const TRIES: Readonly<Partial<Record<ModelFailureKind, number>>> = {
  rateLimited: 8,
  overloaded: 6,
  network: 6,
  timeout: 3,
  unknown: 4,
};

/** Another model may do better. With a wrong key or request, a person has to see it instead. */
const SWITCHABLE: ReadonlySet<ModelFailureKind> = new Set([
  "rateLimited",
  "overloaded",
  "network",
  "timeout",
  "quota",
  "unknown",
]);

/** With a model to go on with, patience with this one is shorter. */
const TRIES_BEFORE_FALLBACK = 3;

/** Longer than this nobody waits for a provider: the run goes on with another model, or fails with what was said. */
const MAX_PATIENCE_MS = 120_000;

/** @pure */
export function afterFailure(run: RunState, last: ModelFailure, agent: Agent): AfterFailure {
  if (last.kind === "contextOverflow") return { type: "compact" };
  const next = nextModel(run, agent);
  const delay = retryDelay(run.failures.length, last, next !== undefined);
  if (delay !== null) return { type: "retry", delay };
  return next !== undefined && SWITCHABLE.has(last.kind)
    ? { type: "switch", to: next, why: last.kind }
    : { type: "fail", error: explainFailure(run, last) };
}

function nextModel({ model, givenUp }: RunState, agent: Agent): string | undefined {
  return agent.model.fallback.find((id) => id !== model && !givenUp.includes(id));
}

/**
 * How long a turn waits until it is tried again with the same model; null when it is not. `failures` is the number of
 * failures since the last answer, of which `failure` is the last.
 *
 * Full jitter: from nothing up to 0.5 s, doubled for each failure up to 32 s, on top of what the provider asked for.
 */
export function retryDelay(failures: number, failure: ModelFailure, hasFallback = false): RetryDelay | null {
  const tries = TRIES[failure.kind] ?? 1;
  if (failures >= (hasFallback ? Math.min(tries, TRIES_BEFORE_FALLBACK) : tries)) return null;
  const atLeastMs = failure.retryAfterMs ?? 0;
  if (atLeastMs > MAX_PATIENCE_MS) return null;
  return { atLeastMs, atMostMs: atLeastMs + Math.min(500 * 2 ** (failures - 1), 32_000) };
}

export function explainFailure(
  { model, failures }: Pick<RunState, "model" | "failures">,
  failure: ModelFailure,
): RunFailed["error"] {
  const status = failure.status === undefined ? "" : ` (HTTP ${failure.status})`;
  const times = failures.length > 1 ? ` after ${failures.length} tries` : "";
  const hint = HINTS[failure.kind];
  return {
    code: `model_${failure.kind}`,
    message: `${model} ${VERBS[failure.kind]}${times}${status}: ${failure.message}`,
    ...(hint === undefined ? {} : { hint }),
  };
}

const VERBS: Readonly<Record<ModelFailureKind, string>> = {
  rateLimited: "limits the rate of requests",
  overloaded: "is overloaded",
  network: "could not be reached",
  timeout: "did not answer in time",
  contextOverflow: "cannot take a request this long",
  refused: "refused the request",
  badRequest: "rejected the request",
  authentication: "did not accept the key",
  quota: "has no quota left",
  unknown: "failed",
};

const HINTS: Readonly<Partial<Record<ModelFailureKind, string>>> = {
  authentication:
    "Check the provider's API key in the environment, then send the next message: the session goes on.",
  quota: "Raise the quota with the provider, or use another model with --model; the session goes on.",
  rateLimited: "Send the next message later, or name other models in model.fallback; the session goes on.",
  overloaded: "Send the next message later, or name other models in model.fallback; the session goes on.",
  network: "Check the connection and the model's base URL, then send the next message: the session goes on.",
  contextOverflow:
    "What is left of the transcript cannot be made shorter. Use a model with a larger context window, or start a new session.",
};
