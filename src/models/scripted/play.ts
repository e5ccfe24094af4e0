import type { Clock } from "../../lib/clock.ts";
import type { AssistantBlock, ToolCallBlock } from "../../log/content.ts";
import type { StopReason } from "../../log/entry.ts";
import type { ModelAnswer, ModelEvent, ModelRequest } from "../model.ts";
import { readArguments } from "../tool-arguments.ts";
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
    const callId = `call_${conversation.turn}_${index + 1}`;
    blocks.push(writeCall(call, callId, conversation, stopReasonOf(turn)));
  }
  return blocks;
}

function stopReasonOf({ stopReason, calls = [] }: ScriptTurn): StopReason {
  return stopReason ?? (calls.length > 0 ? "toolCalls" : "endTurn");
}

export function writeAnswer(
  turn: ScriptTurn,
  blocks: readonly AssistantBlock[],
  request: ModelRequest,
): Omit<ModelAnswer, "sidecar"> {
  const given = Object.entries(turn.usage ?? {}).filter(([, tokens]) => tokens !== undefined);
  return {
    blocks,
    stopReason: stopReasonOf(turn),
    usage: { ...estimateUsage(request, blocks), ...Object.fromEntries(given) },
  };
}

/**
 * The deltas of an answer at the turn's pace, and, where the turn has an error, so many of them. A call behind which the answer
 * goes on is told as completed right behind its last piece. Does not say `finished`.
 * @throws the signal's reason when it is aborted.
 */
export async function* playBlocks(
  answer: Pick<ModelAnswer, "blocks" | "sidecar">,
  pace: Pace,
  error: ScriptError | undefined,
  sleep: Clock["sleep"],
  signal: AbortSignal,
): AsyncGenerator<ModelEvent, void> {
  const limit = error === undefined ? Number.POSITIVE_INFINITY : (error.afterChunks ?? 0);
  let sent = 0;
  for (const event of pieces(answer, pace.chunkSize)) {
    if (sent >= limit) break;
    // Not a piece of the answer: takes no time, and does not count.
    const isPiece = event.type !== "callCompleted";
    const delay = sent === 0 ? pace.firstDelayMs : pace.betweenDelayMs;
    if (isPiece && delay > 0) await sleep(delay, signal);
    signal.throwIfAborted();
    if (isPiece) sent++;
    yield event;
  }
  if (sent === 0 && pace.firstDelayMs > 0) await sleep(pace.firstDelayMs, signal);
  signal.throwIfAborted();
}

function writeCall(
  call: ScriptCall,
  callId: string,
  conversation: Conversation,
  stopReason: StopReason,
): ToolCallBlock {
  const block = { type: "toolCall", callId, name: call.tool } as const;
  return call.inputText === undefined
    ? { ...block, input: fillDeep(call.input ?? {}, conversation) }
    : { ...block, ...readArguments(fill(call.inputText, conversation), stopReason) };
}

function* pieces(
  { blocks, ...rest }: Pick<ModelAnswer, "blocks" | "sidecar">,
  chunkSize: number,
): Generator<ModelEvent, void> {
  for (const [index, block] of blocks.entries()) {
    yield* deltas(block, chunkSize);
    const soFar = blocks.slice(0, index + 1);
    if (block.type === "toolCall" && index < blocks.length - 1 && !soFar.some(isRepaired)) {
      yield { type: "callCompleted", soFar: { blocks: soFar, ...rest } };
    }
  }
}

/** Whether a repair may be made is known only at the end of an answer. */
function isRepaired(block: AssistantBlock): boolean {
  return block.type === "toolCall" && block.repaired !== undefined;
}

function* deltas(block: AssistantBlock, chunkSize: number): Generator<ModelEvent, void> {
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
      const text = block.malformed ?? block.repaired ?? JSON.stringify(block.input);
      for (const piece of chunks(text, chunkSize)) yield { type: "toolCallDelta", callId, text: piece };
      break;
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
