import type { Agent } from "../../agents/agent.ts";
import { random } from "../../lib/ids.ts";
import type { BudgetRequest, ModelCalled, Reservation } from "../../log/entry.ts";
import { askAboutRun } from "../approvals/ask-about-run.ts";
import { hookDue } from "../hooks.ts";
import { knowledgeOf } from "../knowledge.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { askForMore, budgetOf, type CallSize, type Ceiling, unpricedText } from "./budget.ts";
import { reservedCeiling, type Shortage, settledCeiling, shortageOf } from "./shared-budget.ts";

/** How long a call waits for those of other sessions to end and free what they have reserved, before a person is asked. */
const PATIENCE_MS = 120_000;
const PAUSE_MS = 500;

export interface RecordedCall {
  /** The answer may not become longer than this, so that it fits into what is left; null where nothing holds it. */
  readonly maxOutputTokens: number | null;
}

/**
 * Appends `modelCalled`, with what the call reserves where budgets are in force: before anything is sent, for every request
 * to a model. Null when it may not be made: then a person has been asked (`interrupted`), or the run was stopped or
 * abandoned while the call waited for room.
 *
 * Where no budget is shared with other sessions the caller need not wait for the disk; where one is, it has by then.
 * @param describe the call as it stands at the moment; asked again when it had to wait.
 * @param size of a request that is not the conversation's next one, such as that for a summary.
 */
export async function recordCall(
  describe: () => Omit<ModelCalled, "type" | "runId" | "model" | "reservation">,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
  size?: CallSize,
): Promise<RecordedCall | null> {
  const known = knowledgeOf(agent, ports, writer.lease);
  const began = ports.clock.monotonic();
  let full: readonly Ceiling[] = [];
  for (;;) {
    const run = currentRun(writer);
    const call = { ...describe(), runId: run.id, model: run.model };
    const check = budgetOf(writer.state, agent, run, known, {
      full,
      ...(size === undefined ? {} : { size }),
    });
    if (check.exceeded !== null) {
      askAboutRun(check.exceeded, writer, agent, ports);
      return null;
    }
    if (check.unpriced && run.turns === 0) {
      ports.emit({ type: "notice", code: "unpriced", message: unpricedText(run.model, agent) });
    }

    const refused = await appendCall(call, check.reservation, writer);
    if (refused === null) return { maxOutputTokens: check.reservation?.maxOutputTokens ?? null };

    const left = refused.limitUsd - refused.settledUsd;
    if (refused.neededUsd > left) {
      // Too much is spent. Asked again with that in mind, it is made shorter, or a question to a person.
      full = [settledCeiling(refused)];
      continue;
    }
    if (ports.clock.monotonic() - began >= PATIENCE_MS) {
      askAboutRun(requestOf(refused, writer), writer, agent, ports);
      return null;
    }
    const cancel = control.cancelSignal();
    await ports.clock.sleep(PAUSE_MS * (1 + random()), cancel).catch(() => {});
    // A message that has come meanwhile would join the request, and hooks have to be asked about it first.
    if (cancel.aborted || control.draining() || hookDue(writer.state, agent) !== null) return null;
  }
}

/** Null when it is in the log; else what the budget that is too small for it has left. */
export async function appendCall(
  call: Omit<ModelCalled, "type" | "reservation">,
  reservation: Reservation | null,
  writer: SessionWriter,
): Promise<Shortage | null> {
  const fact = { type: "modelCalled", ...call, ...(reservation === null ? {} : { reservation }) } as const;
  if (reservation === null || reservation.budgets.length === 0) {
    writer.append(fact);
    return null;
  }
  const refused = await writer.tryAppend(fact);
  return refused === null ? null : shortageOf(refused);
}

function requestOf(shortage: Shortage, { lease }: SessionWriter): BudgetRequest {
  return askForMore(reservedCeiling(shortage), shortage.neededUsd, lease.sessionId);
}
