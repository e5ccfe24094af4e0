import type { LanguageModelV4, LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { raceSignal } from "../../lib/streams.ts";
import type { ModelFailure } from "../../log/entry.ts";
import type { Model, ModelEvent, ModelRequest } from "../model.ts";
import { createAnswerReader } from "./answer.ts";
import type { Dialect } from "./dialect.ts";
import { toFailure } from "./failure.ts";
import { defaultLimits, type ModelLimits, type Patience, startPatience } from "./patience.ts";
import { createRequestMapper } from "./request.ts";

export interface AiSdkModelOptions {
  /** "provider/name". */
  readonly id: string;
  readonly dialect: Dialect;
  /** Called for every request, so that loading can wait until it is needed and a changed key is noticed. */
  readonly languageModel: () => Promise<LanguageModelV4>;
  readonly limits?: Partial<ModelLimits>;
}

/**
 * A model behind one of the AI SDK's provider packages, of which nothing but `doStream` is used: mapping to the wire is
 * theirs; the loop, retries, tools and the log are ours.
 *
 * - `request.ts`, `transcript.ts`: our request to their call options
 * - `answer.ts`: their stream parts to our events and the answer
 * - `sidecar.ts`: what a provider wants back byte for byte
 * - `failure.ts`: everything that can go wrong, as a `ModelFailure`
 * - `patience.ts`: abort and time limits
 * - `providers.ts`, `load.ts`: which packages there are, and how to get a language model out of them
 */
export function createAiSdkModel(options: AiSdkModelOptions): Model {
  const { id, dialect, languageModel } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const mapRequest = createRequestMapper(dialect);

  async function* stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent, void> {
    const patience = startPatience(signal, limits);
    let isComplete = false;
    try {
      const opened = await raceSignal(open(request, patience), patience.signal, undefined);
      if (opened !== undefined) {
        for await (const event of readAnswer(opened, dialect.provider, patience)) {
          isComplete = event.type === "finished";
          yield event;
          if (isComplete || event.type === "failed") return;
        }
      }
      yield { type: "failed", failure: endFailure(patience, limits) };
    } catch (error) {
      const failure = patience.ended === undefined ? toFailure(error) : endFailure(patience, limits);
      yield { type: "failed", failure };
    } finally {
      patience.close(isComplete);
    }
  }

  async function open(request: ModelRequest, patience: Patience) {
    const model = await languageModel();
    const { stream: parts } = await model.doStream({ ...mapRequest(request), abortSignal: patience.signal });
    return parts;
  }

  return { id, stream };
}

/**
 * The events of one answer. Ends with `finished` or `failed`, or without either when the wait was ended or the provider
 * stopped short.
 */
async function* readAnswer(
  parts: ReadableStream<LanguageModelV4StreamPart>,
  provider: string,
  patience: Patience,
): AsyncGenerator<ModelEvent, void> {
  const source = parts.getReader();
  // Ends a read that is under way, whatever the package does with the signal.
  const cancel = () => void source.cancel().catch(() => {});
  patience.signal.addEventListener("abort", cancel, { once: true });
  const reader = createAnswerReader(provider);
  let events: ModelEvent[] = [];
  const emit = (event: ModelEvent) => void events.push(event);
  let last: ModelEvent | undefined;
  try {
    while (last === undefined) {
      patience.wait();
      const { done, value: part } = await source.read();
      if (done) return;
      reader.take(part, emit);
      patience.heard(events.length > 0);
      for (const event of events) {
        if (event.type === "finished" || event.type === "failed") {
          last = event;
          break;
        }
        yield event;
      }
      if (events.length > 0) events = [];
    }
    if (last.type === "finished") await drain(source);
    yield last;
  } finally {
    patience.signal.removeEventListener("abort", cancel);
    cancel();
  }
}

const DRAIN_MS = 100;

/** Reads to the end of the body, which is near, so that the connection can serve the next request. */
async function drain(source: ReadableStreamDefaultReader<LanguageModelV4StreamPart>): Promise<void> {
  const timer = setTimeout(() => void source.cancel().catch(() => {}), DRAIN_MS);
  try {
    while (!(await source.read()).done);
  } catch {
    // The answer is complete; what happens to the connection behind it is of no interest.
  } finally {
    clearTimeout(timer);
  }
}

function endFailure({ ended }: Patience, limits: ModelLimits): ModelFailure {
  switch (ended) {
    case "aborted":
      return { kind: "unknown", message: "the request was aborted" };
    case "noFirstToken":
      return { kind: "timeout", message: `no answer began within ${seconds(limits.firstTokenMs)}` };
    case "stalled":
      return { kind: "timeout", message: `the answer stood still for ${seconds(limits.betweenTokensMs)}` };
    case undefined:
      return { kind: "network", message: "the stream ended before the answer was complete" };
  }
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
