import type { LanguageModelV4, LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { raceSignal } from "../../lib/streams.ts";
import type { ModelFailure } from "../../log/entry.ts";
import type { Model, ModelEvent, ModelRequest } from "../model.ts";
import { type AnswerReader, createAnswerReader } from "./answer.ts";
import type { Dialect } from "./dialect.ts";
import { toFailure } from "./failure.ts";
import { defaultLimits, type ModelLimits, type Patience, startPatience } from "./patience.ts";
import { createRequestMapper, type MapRequest } from "./request.ts";

export interface AiSdkModelOptions {
  /** "provider/name". */
  readonly id: string;
  readonly dialect: Dialect;
  /** Called for every request, so that loading can wait until it is needed and a changed key is noticed. */
  readonly languageModel: () => Promise<LanguageModelV4>;
  /** The key in use. Some servers repeat it in their complaints, from which it is taken out. */
  readonly key?: () => string | undefined;
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
  const wire: Wire = {
    ...options,
    mapRequest: createRequestMapper(options.dialect),
    limits: { ...defaultLimits, ...options.limits },
  };
  return { id: options.id, stream: (request, signal) => streamAnswer(wire, request, signal) };
}

interface Wire extends Omit<AiSdkModelOptions, "limits"> {
  readonly mapRequest: MapRequest;
  readonly limits: ModelLimits;
}

async function* streamAnswer(
  wire: Wire,
  request: ModelRequest,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent, void> {
  const patience = startPatience(signal, wire.limits);
  let parts: Parts | undefined;
  let isComplete = false;
  try {
    parts = await raceSignal(open(wire, request, patience), patience.signal, undefined);
    const answer = createAnswerReader(wire.dialect);
    // One loop, without a generator inside: it runs for every chunk.
    while (parts !== undefined) {
      patience.wait();
      const reading = parts.read();
      if (answer.hasNews) yield* tellWhenQuiet(reading, answer, patience);
      const { done, value: part } = await reading;
      if (done) break;
      const completed = answer.tell(part);
      const event = answer.take(part);
      patience.heard(event !== undefined);
      if (completed !== undefined) yield completed;
      if (event === undefined) continue;
      if (event.type === "failed") {
        yield failed(event.failure, wire);
        return;
      }
      if (event.type === "finished") {
        isComplete = true;
        await drain(parts);
      }
      yield event;
      if (isComplete) return;
    }
    yield failed(endFailure(patience, wire.limits), wire);
  } catch (error) {
    yield failed(patience.ended === undefined ? toFailure(error) : endFailure(patience, wire.limits), wire);
  } finally {
    patience.close(isComplete);
    if (!isComplete) parts?.cancel().catch(() => {});
  }
}

async function open(
  { languageModel, mapRequest }: Wire,
  request: ModelRequest,
  { signal }: Patience,
): Promise<Parts> {
  const model = await languageModel();
  const { stream: parts } = await model.doStream({ ...mapRequest(request), abortSignal: signal });
  const reader = parts.getReader();
  // Ends a read that is under way, whatever the package does with the signal.
  const cancel = () => void reader.cancel().catch(() => {});
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
  return reader;
}

type Parts = ReadableStreamDefaultReader<LanguageModelV4StreamPart>;

/** A provider that says nothing for so long behind a call is at work on what follows it; the end comes at once. */
const QUIET_MS = 20;

/** Sets a timer behind calls only, not for every chunk. */
async function* tellWhenQuiet(
  reading: Promise<unknown>,
  answer: AnswerReader,
  patience: Patience,
): AsyncGenerator<ModelEvent, void> {
  const { promise: quiet, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, QUIET_MS, true);
  const isQuiet = await Promise.race([reading.then(() => false), quiet]).finally(() => clearTimeout(timer));
  const event = isQuiet ? answer.tell() : undefined;
  if (event === undefined) return;
  // Until the reader comes back, the provider's silence does not count.
  patience.heard(false);
  yield event;
  patience.wait();
}

const DRAIN_MS = 100;

/** Reads to the end of the body, which is near, so that the connection can serve the next request. */
async function drain(parts: Parts): Promise<void> {
  const timer = setTimeout(() => void parts.cancel().catch(() => {}), DRAIN_MS);
  try {
    while (!(await parts.read()).done);
  } catch {
    // The answer is complete; what happens to the connection behind it is of no interest.
  } finally {
    clearTimeout(timer);
  }
}

function failed(failure: ModelFailure, { key }: Wire): ModelEvent {
  return { type: "failed", failure: withoutSecret(failure, key?.()) };
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

/** What is shorter than this is a word such as "none" or "ollama", not a secret. */
const MIN_SECRET = 8;

function withoutSecret(failure: ModelFailure, key: string | undefined): ModelFailure {
  if (key === undefined || key.length < MIN_SECRET) return failure;
  return { ...failure, message: failure.message.replaceAll(key, "[secret]") };
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
