import type { Clock } from "../../lib/clock.ts";
import { AppError, errorMessage } from "../../lib/errors.ts";
import { wholeTokens } from "../../log/content.ts";
import type { ModelFailure } from "../../log/entry.ts";
import type { Model, ModelAnswer, ModelEvent, ModelRequest } from "../../models/model.ts";
import type { Delta } from "../session/events.ts";
import type { CallIds } from "./call-ids.ts";

/** How a request ended, and what was seen of its answer until then. */
export interface Reading {
  readonly end: { readonly type: "finished"; readonly answer: ModelAnswer } | Failed;
  /** Milliseconds to the first piece; null when there was none. */
  readonly firstTokenMs: number | null;
  /** How many deltas were shown. */
  readonly shown: number;
}

export interface Failed {
  readonly type: "failed";
  readonly failure: ModelFailure;
}

/** Where the pieces of an answer go while it is read. */
export interface Reader {
  readonly runId: string;
  readonly ids: CallIds;
  readonly clock: Clock;
  readonly cancel: AbortSignal;
  readonly emit: (delta: Delta) => void;
  /** See `EarlyStart`. */
  readonly offer: (soFar: Pick<ModelAnswer, "blocks" | "sidecar">, shown: number) => void;
}

/** Reads one answer to its end, in which all calls have ids of their own. Never rejects. */
export async function readAnswer(
  resolve: () => Model,
  request: ModelRequest,
  { runId, ids, clock, cancel, emit, offer }: Reader,
): Promise<Reading> {
  const started = clock.monotonic();
  let firstTokenMs: number | null = null;
  let shown = 0;
  const endWith = (end: Reading["end"]): Reading => ({ end, firstTokenMs, shown });
  try {
    for await (const event of resolve().stream(request, cancel)) {
      if (event.type === "failed") return endWith(event);
      if (event.type === "finished") return endWith(asOurs(event.answer, ids));
      if (cancel.aborted) break;
      if (event.type === "callCompleted") {
        offer(event.soFar, shown);
        continue;
      }
      firstTokenMs ??= Math.round(clock.monotonic() - started);
      shown += 1;
      emit({ ...toDelta(event, ids), runId });
    }
    return endWith(failedBecause("network", "the stream ended without an answer"));
  } catch (error) {
    // A missing key or an unknown model is the resolver's word; anything else is a defect of the adapter, and costs this
    // call only.
    return endWith(failedBecause(isConfiguration(error) ? "badRequest" : "unknown", explain(error)));
  }
}

/** With call ids of our own, and a usage that can be counted: models may be anybody's code. */
function asOurs(answer: ModelAnswer, ids: CallIds): Reading["end"] {
  const blocks = ids.translate(answer.blocks);
  return { type: "finished", answer: { ...answer, blocks, usage: wholeTokens(answer.usage) } };
}

type Piece = Exclude<ModelEvent, { type: "callCompleted" | "finished" | "failed" }>;

function toDelta(event: Piece, ids: CallIds): Piece {
  switch (event.type) {
    case "textDelta":
    case "reasoningDelta":
      return event;
    case "toolCallStarted":
      return { ...event, callId: ids.begin(event.callId) };
    case "toolCallDelta":
      return { ...event, callId: ids.current(event.callId) };
  }
}

export function failedBecause(kind: ModelFailure["kind"], message: string): Failed {
  return { type: "failed", failure: { kind, message } };
}

function isConfiguration(error: unknown): error is AppError {
  return error instanceof AppError;
}

function explain(error: unknown): string {
  if (!isConfiguration(error) || error.hint === undefined) return errorMessage(error);
  return `${error.message}. ${error.hint}`;
}
