import type { Clock } from "../../lib/clock.ts";
import type { AssistantBlock, ToolCallBlock } from "../../log/content.ts";
import type { ModelAnswer, ModelEvent, ModelRequest } from "../model.ts";
import type { Conversation } from "./conversation.ts";
import { estimateUsage } from "./estimate.ts";
import type { ScriptCall, ScriptError, ScriptTurn } from "./script.ts";
import { fill, fillDeep } from "./template.ts";

export interface Pace {
  readonly chunkSize: number;
  readonly firstDelayMs: number;
  readonly betweenDelayMs: number;
}

/** The blocks of a turn's answer. @throws Error for a placeholder that the conversation cannot fill. */
export function writeBlocks(turn: ScriptTurn, conversation: Conversation): readonly AssistantBlock[] {
  const blocks: AssistantBlock[] = [];
  if (turn.reasoning !== undefined) {
    blocks.push({ type: "reasoning", text: fill(turn.reasoning, conversation) });
  }
  if (turn.text !== undefined) blocks.push({ type: "text", text: fill(turn.text, conversation) });
  for (const [index, call] of (turn.calls ?? []).entries()) {
    blocks.push(writeCall(call, `call_${conversation.turn}_${index + 1}`, conversation));
  }
  return blocks;
}

export function writeAnswer(
  turn: ScriptTurn,
  blocks: readonly AssistantBlock[],
  request: ModelRequest,
): Omit<ModelAnswer, "sidecar"> {
  const given = Object.entries(turn.usage ?? {}).filter(([, tokens]) => tokens !== undefined);
  return {
    blocks,
    stopReason: turn.stopReason ?? ((turn.calls ?? []).length > 0 ? "toolCalls" : "endTurn"),
    usage: { ...estimateUsage(request, blocks), ...Object.fromEntries(given) },
  };
}

/**
 * The deltas of an answer at the turn's pace, and, where the turn has an error, that. Does not say `finished`.
 * @throws the signal's reason when it is aborted.
 */
export async function* playBlocks(
  blocks: readonly AssistantBlock[],
  pace: Pace,
  error: ScriptError | undefined,
  sleep: Clock["sleep"],
  signal: AbortSignal,
): AsyncGenerator<ModelEvent, void> {
  const limit = error === undefined ? Number.POSITIVE_INFINITY : (error.afterChunks ?? 0);
  let sent = 0;
  for (const event of deltas(blocks, pace.chunkSize)) {
    if (sent >= limit) break;
    const delay = sent === 0 ? pace.firstDelayMs : pace.betweenDelayMs;
    if (delay > 0) await sleep(delay, signal);
    signal.throwIfAborted();
    sent++;
    yield event;
  }
  if (sent === 0 && pace.firstDelayMs > 0) await sleep(pace.firstDelayMs, signal);
  signal.throwIfAborted();
}

function writeCall(call: ScriptCall, callId: string, conversation: Conversation): ToolCallBlock {
  const block = { type: "toolCall", callId, name: call.tool } as const;
  if (call.inputText === undefined) return { ...block, input: fillDeep(call.input ?? {}, conversation) };
  const text = fill(call.inputText, conversation);
  try {
    return { ...block, input: JSON.parse(text) };
  } catch {
    return { ...block, input: {}, malformed: text };
  }
}

function* deltas(blocks: readonly AssistantBlock[], chunkSize: number): Generator<ModelEvent, void> {
  for (const block of blocks) {
    switch (block.type) {
      case "reasoning":
        for (const text of chunks(block.text, chunkSize)) yield { type: "reasoningDelta", text };
        break;
      case "text":
        for (const text of chunks(block.text, chunkSize)) yield { type: "textDelta", text };
        break;
      case "toolCall": {
        const { callId, name } = block;
        yield { type: "toolCallStarted", callId, name };
        const text = block.malformed ?? JSON.stringify(block.input);
        for (const piece of chunks(text, chunkSize)) yield { type: "toolCallDelta", callId, text: piece };
        break;
      }
    }
  }
}

/** Pieces of about `size` UTF-16 units that never cut a character in two. */
function* chunks(text: string, size: number): Generator<string, void> {
  for (let start = 0; start < text.length; ) {
    let end = start + size;
    const last = text.charCodeAt(end - 1);
    if (last >= 0xd800 && last <= 0xdbff) end++;
    yield text.slice(start, end);
    start = end;
  }
}
