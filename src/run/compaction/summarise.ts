import type { Agent } from "../../agents/agent.ts";
import type { Summarise } from "../../context/compaction.ts";
import { recentFiles } from "../../context/recent-files.ts";
import { fileBlocks, readSummary, summaryMessage } from "../../context/summary.ts";
import { raceSignal } from "../../lib/streams.ts";
import { type Message, noUsage, type Usage, type UserBlock } from "../../log/content.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { askForSummary } from "./ask-for-summary.ts";
import { restoreFiles } from "./restore-files.ts";

/** What came of asking for a summary, and what it cost. */
export type Summary =
  | ({ readonly ok: true; readonly message: Message } & Cost)
  /** `reason` is for people. */
  | ({ readonly ok: false; readonly reason: string } & Cost);

interface Cost {
  readonly usage: Usage;
  /** Null where the price is not known. */
  readonly costUsd: number | null;
}

/**
 * The message that is to stand in the place of the oldest ones: the model's summary of them, and what has to be at hand
 * beside it. Appends only what asking for it appends. Null when it was stopped or abandoned, or waits for a person.
 */
export async function summarise(
  plan: Summarise,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<Summary | null> {
  const cancel = control.cancelSignal();
  ports.emit({
    type: "notice",
    code: "compacting",
    message: "the conversation has grown long: its older part is being summarised",
  });
  const asked = await askForSummary(plan, writer, agent, ports, control);
  if (asked === null) return null;
  if (!asked.ok) return { ...asked, usage: noUsage, costUsd: 0 };
  const { usage } = asked.answer;
  const cost: Cost = { usage, costUsd: ports.price(agent, currentRun(writer).model, usage) };
  const read = readSummary(asked.answer);
  if (!read.ok) return { ...read, ...cost };
  const putBack = await raceSignal(whatToPutBack(plan, writer, ports), cancel, null);
  if (putBack === null || cancel.aborted) return null;
  return { ok: true, message: summaryMessage(read.text, putBack), ...cost };
}

/** Recently used files. What else has to be at hand (a plan, skills, approvals) joins them here. */
async function whatToPutBack(
  { keepFrom, limit, scale }: Summarise,
  writer: SessionWriter,
  ports: LoopPorts,
): Promise<readonly UserBlock[]> {
  const paths = recentFiles(writer.state.messages, keepFrom);
  const open = () => ports.sandbox(writer.lease.sessionId);
  return fileBlocks(await restoreFiles(paths, open, limit / scale));
}
