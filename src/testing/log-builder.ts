import type { AssistantBlock, Usage } from "../log/content.ts";
import { noUsage } from "../log/content.ts";
import { ENTRY_VERSION, type Entry, type NewEntry } from "../log/entry.ts";

/** Facts made into the entries of one session, a second apart: `entries(userMessage("hi"), ...)`. For tests of folds and decisions. */
export function entries(...facts: readonly NewEntry[]): Entry[] {
  return facts.map((fact, index) => ({
    ...fact,
    id: `e${index + 1}`,
    sessionId: "s",
    parentId: index === 0 ? null : `e${index}`,
    seq: index + 1,
    at: index * 1_000,
    v: ENTRY_VERSION,
  }));
}

export const created = (): NewEntry => ({ type: "sessionCreated", agent: "tester" });

export const userSays = (text: string, inboxId = `in-${text}`): NewEntry => ({
  type: "userMessage",
  blocks: [{ type: "text", text }],
  inboxId,
});

export const runStarts = (runId = "r1", model = "scripted"): NewEntry => ({
  type: "runStarted",
  runId,
  model,
});

export const modelIsCalled = (attempt = 1): NewEntry => ({
  type: "modelCalled",
  runId: "r1",
  model: "scripted",
  attempt,
});

export function modelSays(
  blocks: readonly AssistantBlock[],
  more: {
    readonly stopReason?: "endTurn" | "toolCalls" | "maxTokens" | "refused";
    readonly usage?: Usage;
  } = {},
): NewEntry {
  return {
    type: "assistantMessage",
    runId: "r1",
    model: "scripted",
    blocks,
    stopReason:
      more.stopReason ?? (blocks.some((block) => block.type === "toolCall") ? "toolCalls" : "endTurn"),
    usage: more.usage ?? noUsage,
    costUsd: null,
    timing: { firstTokenMs: null, totalMs: 0 },
  };
}

/** So much of an answer was complete when its first call started. */
export const answerPart = (blocks: readonly AssistantBlock[]): NewEntry => ({
  type: "answerPart",
  runId: "r1",
  model: "scripted",
  blocks,
});

export const text = (value: string): AssistantBlock => ({ type: "text", text: value });

export const call = (callId: string, name: string, input: unknown = {}): AssistantBlock => ({
  type: "toolCall",
  callId,
  name,
  input,
});

export const toolStarts = (
  callId: string,
  name: string,
  effect: Extract<NewEntry, { type: "toolStarted" }>["effect"],
  attempt = 1,
): NewEntry => ({
  type: "toolStarted",
  runId: "r1",
  callId,
  operationId: `op-${callId}`,
  name,
  effect,
  attempt,
});

export const toolEnds = (
  callId: string,
  name: string,
  result = "done",
  outcome: Extract<NewEntry, { type: "toolFinished" }>["outcome"] = "ok",
): NewEntry => ({
  type: "toolFinished",
  runId: "r1",
  callId,
  name,
  outcome,
  blocks: [{ type: "text", text: result }],
  durationMs: 1,
});

export const stopIsAsked = (inboxId = "stop"): NewEntry => ({ type: "stopRequested", inboxId });

export const runEnds = (
  reason: Extract<NewEntry, { type: "runFinished" }>["reason"] = "endTurn",
): NewEntry => ({ type: "runFinished", runId: "r1", reason });
