import type { Clock } from "../lib/clock.ts";
import type { ModelFailure } from "../log/entry.ts";
import type { Model, ModelEvent } from "./model.ts";

export interface CircuitLimits {
  /** So many failures in a row open the circuit. Default 5. */
  readonly failures: number;
  /** Those that are older than this do not count, in milliseconds. Default one minute. */
  readonly withinMs: number;
  /** How long it stays open at first, in milliseconds. Default 15 s. Twice as long after each probe that fails. */
  readonly openMs: number;
  /** Default two minutes. */
  readonly maxOpenMs: number;
}

export const defaultCircuitLimits: CircuitLimits = {
  failures: 5,
  withinMs: 60_000,
  openMs: 15_000,
  maxOpenMs: 2 * 60_000,
};

/**
 * Spares a provider that is down, and those who would wait for it. Of this process only: other nodes find out for themselves.
 *
 * ```
 * closed ──enough failures in a row──▶ open ──time is up──▶ half-open ──it answers──▶ closed
 *                                       ▲                       │
 *                                       └──────it fails again───┘  (twice as long)
 * ```
 *
 * While it is half-open, one request goes through at a time; another one, too, where that is silent for `openMs`.
 */
export interface CircuitBreaker {
  /** Asks whether a request may go out. One that was admitted must be settled, whatever becomes of it. */
  admit(): Admission | Refusal;
}

/** What became of a request. Says nothing any more once the circuit has opened behind it. */
export interface Admission {
  readonly admitted: true;
  /** The provider answers something: a first piece, or a refusal of this request. A probe has then done its work. */
  answered(): void;
  /** The answer is complete: the row of failures is broken. */
  succeeded(): void;
  /** The provider is down. */
  failed(message: string): void;
  /** The request is over, whatever was said of it. A probe makes room for the next one. */
  ended(): void;
}

export interface Refusal {
  readonly admitted: false;
  readonly failure: ModelFailure;
}

/** Breakers by name, made when they are first asked for. */
export function createCircuitBreakers(
  clock: Clock,
  limits: Partial<CircuitLimits> = {},
): (name: string) => CircuitBreaker {
  const breakers = new Map<string, CircuitBreaker>();
  return (name) => {
    let breaker = breakers.get(name);
    if (breaker === undefined) {
      breaker = createCircuitBreaker(name, clock, { ...defaultCircuitLimits, ...limits });
      breakers.set(name, breaker);
    }
    return breaker;
  };
}

/** The model, asked only while the circuit is not open. */
export function withCircuitBreaker(model: Model, breaker: CircuitBreaker): Model {
  async function* stream(
    ...[request, signal]: Parameters<Model["stream"]>
  ): AsyncGenerator<ModelEvent, void> {
    const admission = breaker.admit();
    if (!admission.admitted) {
      yield { type: "failed", failure: admission.failure };
      return;
    }
    try {
      for await (const event of model.stream(request, signal)) {
        report(event, admission, signal);
        yield event;
      }
    } finally {
      admission.ended();
    }
  }
  return { id: model.id, stream };
}

function report(event: ModelEvent, admission: Admission, signal: AbortSignal): void {
  if (event.type === "finished") admission.succeeded();
  else if (event.type !== "failed") admission.answered();
  // What breaks because it was aborted tells nothing.
  else if (signal.aborted) return;
  else if (isOutage(event.failure)) admission.failed(event.failure.message);
  else admission.answered();
}

/** Whether a failure says that the provider is down, and not that it refuses this request or this account. */
function isOutage({ kind, status = 0 }: ModelFailure): boolean {
  switch (kind) {
    case "overloaded":
    case "network":
    case "timeout":
      return true;
    case "unknown":
      return status >= 500;
    case "rateLimited":
    case "contextOverflow":
    case "refused":
    case "badRequest":
    case "authentication":
    case "quota":
      return false;
  }
}

function createCircuitBreaker(name: string, clock: Clock, limits: CircuitLimits): CircuitBreaker {
  /** When the failures of the present row were, by the monotonic clock. */
  let failures: number[] = [];
  let open:
    | { readonly since: number; readonly until: number; readonly ms: number; readonly why: string }
    | undefined;
  /** When the probe that is under way was sent, by the monotonic clock. */
  let probedAt: number | undefined;
  /** How often the circuit has opened: what was sent before says nothing about now. */
  let opened = 0;

  function openCircuit(why: string): void {
    const ms = open === undefined ? limits.openMs : Math.min(open.ms * 2, limits.maxOpenMs);
    open = { since: open?.since ?? clock.now(), until: clock.monotonic() + ms, ms, why };
    probedAt = undefined;
    failures = [];
    opened++;
  }

  function countFailure(message: string): void {
    const now = clock.monotonic();
    failures = [...failures.filter((at) => now - at <= limits.withinMs), now];
    if (failures.length >= limits.failures) {
      openCircuit(`${name} failed ${failures.length} times in a row, at last with: ${message}`);
    }
  }

  function admission(asProbe: boolean): Admission {
    const sentAt = opened;
    let isProbe = asProbe;
    const isStale = () => sentAt !== opened;
    function answered(): void {
      if (isStale() || !isProbe) return;
      isProbe = false;
      probedAt = undefined;
      open = undefined;
    }
    return {
      admitted: true,
      answered,
      succeeded() {
        answered();
        if (!isStale()) failures = [];
      },
      failed(message) {
        if (isStale()) return;
        if (isProbe && open !== undefined) openCircuit(`${name} fails still, now with: ${message}`);
        else countFailure(message);
      },
      ended() {
        if (!isStale() && isProbe) probedAt = undefined;
      },
    };
  }

  return {
    admit() {
      if (open === undefined) return admission(false);
      const now = clock.monotonic();
      const waitMs = Math.ceil(open.until - now);
      // A model that thinks is silent for minutes, which says nothing of its provider: others need not wait for it.
      const isProbing = probedAt !== undefined && now - probedAt < limits.openMs;
      if (waitMs <= 0 && !isProbing) {
        probedAt = now;
        return admission(true);
      }
      const since = new Date(open.since).toISOString();
      const next =
        waitMs > 0 ? `the next try is in ${Math.ceil(waitMs / 1000)} s` : "one request tries it now";
      return {
        admitted: false,
        failure: {
          kind: "overloaded",
          message: `${open.why}. Not asked: the circuit is open since ${since}, ${next}.`,
          retryAfterMs: Math.max(waitMs, PROBE_MS),
        },
      };
    },
  };
}

/** While a probe is under way nobody knows how long it takes. */
const PROBE_MS = 1000;
