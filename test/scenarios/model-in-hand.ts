import { createChannel } from "../../src/lib/streams.ts";
import { type AssistantBlock, noUsage, type ToolCallBlock } from "../../src/log/content.ts";
import type { Model, ModelAnswer, ModelEvent, ModelRequest } from "../../src/models/model.ts";

/** One request to a model whose answer the test writes, event by event. */
export interface OpenRequest {
  readonly request: ModelRequest;
  write(...events: readonly ModelEvent[]): void;
}

/** A model that answers with what the test says, when it says it. */
export interface ModelInHand extends Model {
  /** Resolves when the n-th request has arrived, from 1. */
  asked(n: number): Promise<OpenRequest>;
}

export function createModelInHand(): ModelInHand {
  const requests: PromiseWithResolvers<OpenRequest>[] = [];
  let count = 0;
  const slot = (n: number) => {
    requests[n] ??= Promise.withResolvers<OpenRequest>();
    return requests[n];
  };
  return {
    id: "hand/model",
    asked: (n) => slot(n).promise,
    async *stream(request, signal) {
      const events = createChannel<ModelEvent>(signal);
      slot(++count).resolve({ request, write: (...all) => all.forEach(events.push) });
      for await (const event of events) {
        yield event;
        if (event.type === "finished" || event.type === "failed") return;
      }
      yield { type: "failed", failure: { kind: "unknown", message: "the request was aborted" } };
    },
  };
}

export const text = (value: string): AssistantBlock => ({ type: "text", text: value });

export const call = (callId: string, name: string, input: unknown = {}): ToolCallBlock => ({
  type: "toolCall",
  callId,
  name,
  input,
});

export const says = (value: string): ModelEvent => ({ type: "textDelta", text: value });

/** The deltas of a call. */
export function calls({ callId, name, input }: ToolCallBlock): readonly ModelEvent[] {
  return [
    { type: "toolCallStarted", callId, name },
    { type: "toolCallDelta", callId, text: JSON.stringify(input) },
  ];
}

export const completed = (...blocks: readonly AssistantBlock[]): ModelEvent => ({
  type: "callCompleted",
  soFar: { blocks },
});

export function finished(...blocks: readonly AssistantBlock[]): ModelEvent {
  const stopReason = blocks.some(({ type }) => type === "toolCall") ? "toolCalls" : "endTurn";
  const answer: ModelAnswer = { blocks, stopReason, usage: noUsage };
  return { type: "finished", answer };
}

export const failed = (message = "connection reset"): ModelEvent => ({
  type: "failed",
  failure: { kind: "network", message },
});
