import type { ClearResults } from "../../context/compaction.ts";
import { estimateBlocks, estimateText, sum } from "../../context/estimate.ts";
import { forEachBounded, raceSignal } from "../../lib/streams.ts";
import type { ToolResultMessage } from "../../log/content.ts";
import type { ClearedResult } from "../../log/entry.ts";
import { clearedText } from "../../log/notes.ts";
import type { Sandbox } from "../../sandboxes/sandbox.ts";
import { outputPath } from "../../tools/output.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";

/** Keeps old results as files, so that they can be read again, and has them shown as markers. Appends `resultsCleared`. */
export async function clearResults(
  plan: ClearResults,
  writer: SessionWriter,
  ports: LoopPorts,
  control: LoopControl,
): Promise<void> {
  const cancel = control.cancelSignal();
  const wanted = new Set(plan.callIds);
  const results = writer.state.messages
    .flatMap((message) => (message.role === "tool" ? message.results : []))
    .filter(({ callId }) => wanted.has(callId));
  const keeping = keepResults(results, () => ports.sandbox(writer.lease.sessionId));
  const files = await raceSignal(keeping, cancel, null);
  if (files === null || cancel.aborted) return;

  const cleared = results.map(({ callId }): ClearedResult => ({ callId, file: files.get(callId) ?? null }));
  const freed = sum(results, (result) => {
    const marker = clearedText(result.name, files.get(result.callId) ?? null);
    return estimateBlocks(result.blocks) - estimateText(marker);
  });
  writer.append({
    type: "resultsCleared",
    runId: currentRun(writer).id,
    results: cleared,
    tokensBefore: Math.round(plan.tokensBefore),
    tokensAfter: Math.round(plan.tokensBefore - plan.scale * freed),
  });
}

const WRITES_AT_ONCE = 8;

/** The file of each result that could be kept. Never rejects: a result without a file is cleared all the same. */
async function keepResults(
  results: readonly ToolResultMessage[],
  open: () => Promise<Pick<Sandbox, "writeFile">>,
): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  let sandbox: ReturnType<typeof open> | undefined;
  await forEachBounded(results, WRITES_AT_ONCE, async (result) => {
    const text = textOf(result);
    const known = wholeOutput(result, text);
    if (known !== undefined) files.set(result.callId, known);
    if (known !== undefined || text === "") return;
    const path = freePath(result.callId, text);
    try {
      sandbox ??= open();
      await (await sandbox).writeFile(path, Buffer.from(text));
      files.set(result.callId, path);
    } catch {
      // No sandbox, a full disk: the marker then says that it was not kept.
    }
  });
  return files;
}

/** Images are not kept: the marker leads back to the tool that showed them. */
function textOf({ blocks }: ToolResultMessage): string {
  return blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n");
}

/** A long output was kept when it was made, and what the model was shown of it names the file. */
function wholeOutput({ callId, blocks }: ToolResultMessage, text: string): string | undefined {
  const path = outputPath(callId);
  return blocks.length === 1 && text.includes(path) ? path : undefined;
}

/** A result of several parts may name files of its own, which are not to be written over. */
function freePath(callId: string, text: string): string {
  for (let part = 1; ; part++) {
    const path = outputPath(callId, { part });
    if (!text.includes(path)) return path;
  }
}
