import type { Agent } from "../agents/agent.ts";
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { RunState } from "../log/state.ts";
import type { LoopControl } from "./loop-ports.ts";
import type { SessionWriter } from "./session-writer.ts";

/** The time for which a run waits for people does not count. @pure */
export function isTimeUp(run: RunState, agent: Agent, now: number): boolean {
  return timeLeft(run, agent, now) <= 0;
}

/** Milliseconds. Stands still while people are asked. */
function timeLeft({ startedAt, askingSince }: RunState, { limits }: Agent, now: number): number {
  return limits.durationMs - ((askingSince ?? now) - startedAt);
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

  /** One for each run, since a run has many steps. */
  function timeUp(run: RunState): AbortSignal {
    // A wall clock can be set back: what is cancelled while the decision sees time left would be begun again without end.
    const isWrong = timer?.signal.aborted && !isTimeUp(run, agent, clock.now());
    if (timer?.runId !== run.id || isWrong) {
      timer?.[Symbol.dispose]();
      timer = startTimer(run.id, writer, agent, clock);
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
  readonly signal: AbortSignal;
}

/** What goes on beside a question is not looked at more often than this. Milliseconds. */
const WHILE_ASKING_MS = 1_000;

function startTimer(runId: string, writer: Pick<SessionWriter, "state">, agent: Agent, clock: Clock): Timer {
  const up = new AbortController();
  const over = new AbortController();

  /** Not before the decision sees it, too: timers can be early, and people's answers move the end. */
  async function strike(): Promise<void> {
    for (let { run } = writer.state; run?.id === runId; { run } = writer.state) {
      const left = timeLeft(run, agent, clock.now());
      if (left <= 0) {
        up.abort(new AppError("timeout", "the run has reached its time limit"));
        return;
      }
      await clock.sleep(run.askingSince === null ? left : Math.max(left, WHILE_ASKING_MS), over.signal);
    }
  }

  strike().catch(() => {});
  return { runId, signal: up.signal, [Symbol.dispose]: () => over.abort() };
}
