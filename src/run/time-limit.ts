import type { Agent } from "../agents/agent.ts";
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { RunState } from "../log/state.ts";
import type { LoopControl } from "./loop-ports.ts";
import type { SessionWriter } from "./session-writer.ts";

/** The time for which a run waits for people does not count. @pure */
export function isTimeUp({ startedAt, askingSince }: RunState, { limits }: Agent, now: number): boolean {
  return (askingSince ?? now) - startedAt >= limits.durationMs;
}

/**
 * Lets the run's time limit strike in the middle of a step, too: what can be cancelled is also cancelled then, with the
 * reason AppError `timeout`. Between steps the decision sees the same clock.
 */
export function withTimeLimit(
  control: LoopControl,
  writer: SessionWriter,
  agent: Agent,
  clock: Clock,
): LoopControl & Disposable {
  let timer: Timer | undefined;
  /** Composing signals is not cheap. */
  let combined:
    | { readonly cancel: AbortSignal; readonly up: AbortSignal; readonly signal: AbortSignal }
    | undefined;

  /** One for each run, since a run has many steps; another one when a person's answer has moved its end. */
  function timeUp(run: RunState): AbortSignal {
    // A wall clock can be set back: what is cancelled while the decision sees time left would be begun again without end.
    const isWrong = timer?.signal.aborted && !isTimeUp(run, agent, clock.now());
    if (timer?.runId !== run.id || timer.startedAt !== run.startedAt || isWrong) {
      timer?.[Symbol.dispose]();
      timer = startTimer(run, agent, clock);
    }
    return timer.signal;
  }

  return {
    ...control,
    cancelSignal() {
      const cancel = control.cancelSignal();
      const { run } = writer.state;
      if (run === null) return cancel;
      const up = timeUp(run);
      if (combined?.cancel !== cancel || combined.up !== up) {
        combined = { cancel, up, signal: AbortSignal.any([cancel, up]) };
      }
      return combined.signal;
    },
    [Symbol.dispose]: () => timer?.[Symbol.dispose](),
  };
}

interface Timer extends Disposable {
  readonly runId: string;
  readonly startedAt: number;
  readonly signal: AbortSignal;
}

function startTimer(run: RunState, agent: Agent, clock: Clock): Timer {
  const { id: runId, startedAt } = run;
  const up = new AbortController();
  const over = new AbortController();

  /** Not before the decision sees it, too: timers can be early. */
  async function strike(): Promise<void> {
    while (clock.now() - startedAt < agent.limits.durationMs) {
      await clock.sleep(startedAt + agent.limits.durationMs - clock.now(), over.signal);
    }
    up.abort(new AppError("timeout", "the run has reached its time limit"));
  }

  strike().catch(() => {});
  return { runId, startedAt, signal: up.signal, [Symbol.dispose]: () => over.abort() };
}
