import type { Agent } from "../../agents/agent.ts";
import type { AssistantBlock } from "../../log/content.ts";
import { callsOf } from "../../log/fold-answers.ts";
import type { ModelAnswer } from "../../models/model.ts";
import { hasUnasked } from "../hooks.ts";
import type { LoopControl } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import type { CallIds } from "../turn/call-ids.ts";
import type { Calls, DuePlan } from "./calls.ts";

/**
 * Starts the calls of one answer while the model still writes the rest of it. A call begins early when it would begin now if
 * the answer ended behind it; whatever would get a result without being started waits for the end. What is complete of
 * the answer is recorded first (`answerPart`), so that the log knows which call it is that has started.
 */
export interface EarlyStart extends Disposable {
  /** So much of the answer is complete; `shown` deltas of it have been shown. */
  offer(soFar: Pick<ModelAnswer, "blocks" | "sidecar">, shown: number): void;
  /** How many deltas had been shown when what was recorded last became complete. */
  readonly kept: number;
}

/**
 * All parts of one answer together, in characters of JSON. Each holds what the one before it held, so without a limit many
 * long calls would be written many times; calls beyond it begin when the answer is complete.
 */
const MAX_RECORDED = 256 * 1024;

export function createEarlyStart(
  calls: Calls,
  ids: CallIds,
  writer: SessionWriter,
  agent: Agent,
  control: LoopControl,
): EarlyStart {
  const { id: runId, model } = currentRun(writer);
  let latest: Offer | undefined;
  let recorded: Offer | undefined;
  let recordedCharacters = 0;
  let isOver = false;
  let soon: NodeJS.Immediate | undefined;

  function startDue(): void {
    soon = undefined;
    try {
      for (let plan = nextPlan(); plan?.type === "run"; plan = nextPlan()) {
        // Hooks are asked when the answer is complete.
        const moment = { point: "beforeTool", subject: plan.call.callId, tool: plan.tool.name } as const;
        if (hasUnasked(moment, writer.state, agent) || !(isRecorded(plan) || record())) return;
        void calls.perform(plan).then(startDue);
      }
    } catch {
      // Nobody waits for this. What fails here fails again in the step that runs the calls, which has somebody who does.
      isOver = true;
    }
  }

  function nextPlan(): DuePlan | null {
    if (isOver || latest === undefined || control.draining() || control.cancelSignal().aborted) return null;
    return calls.next(callsOf(ids.translate(latest.blocks), writer.state.openCalls));
  }

  function isRecorded({ call }: DuePlan): boolean {
    return writer.state.openCalls.some(({ callId }) => callId === call.callId);
  }

  /** False when that would be too much. */
  function record(): boolean {
    if (latest === undefined) return false;
    const { sidecar } = latest;
    const blocks = ids.translate(latest.blocks);
    const characters = JSON.stringify(blocks).length;
    if (recordedCharacters + characters > MAX_RECORDED) return false;
    recordedCharacters += characters;
    recorded = latest;
    const rest = sidecar === undefined ? {} : { sidecar };
    writer.append({ type: "answerPart", runId, model, blocks, ...rest });
    return true;
  }

  return {
    offer(soFar, shown) {
      if (isOver) return;
      latest = { ...soFar, shown };
      // Behind what has arrived already: of an answer that comes in one piece nothing has to be recorded before its end.
      soon ??= setImmediate(startDue);
    },
    get kept() {
      return recorded?.shown ?? 0;
    },
    [Symbol.dispose]() {
      isOver = true;
      if (soon !== undefined) clearImmediate(soon);
    },
  };
}

interface Offer {
  readonly blocks: readonly AssistantBlock[];
  readonly sidecar?: ModelAnswer["sidecar"];
  readonly shown: number;
}
