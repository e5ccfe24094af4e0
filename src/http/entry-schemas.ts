import { z } from "zod";
import type { Entry } from "../log/entry.ts";
import type { RunEvent } from "../run/events.ts";

/** What the log and the stream hold, as schemas: for the OpenAPI document, and for readers that check what they get. */

const optionalText = z.exactOptional(z.string());
const count = z.int().min(0);

export const textBlockSchema = z
  .strictObject({ type: z.literal("text"), text: z.string() })
  .meta({ id: "TextBlock" });

export const imageBlockSchema = z
  .strictObject({
    type: z.literal("image"),
    mediaType: z
      .string()
      .regex(/^image\/[\w.+-]+$/)
      .meta({ description: 'For example "image/png".' }),
    data: z.base64().meta({ description: "Base64, without a `data:` prefix." }),
  })
  .meta({ id: "ImageBlock" });

const reasoningBlock = z
  .strictObject({ type: z.literal("reasoning"), text: z.string() })
  .meta({ id: "ReasoningBlock" });

const toolCallBlock = z
  .strictObject({
    type: z.literal("toolCall"),
    callId: z.string(),
    name: z.string(),
    input: z.unknown(),
    malformed: optionalText,
    repaired: optionalText,
  })
  .meta({ id: "ToolCallBlock" });

export const userBlockSchema = z.discriminatedUnion("type", [textBlockSchema, imageBlockSchema]);
const assistantBlock = z.discriminatedUnion("type", [textBlockSchema, reasoningBlock, toolCallBlock]);

export const usageSchema = z
  .strictObject({
    input: count,
    cacheRead: count,
    cacheWrite: count,
    cacheWrite1h: count
      .optional()
      .meta({ description: "The part of `cacheWrite` that is kept for an hour." }),
    output: count,
    reasoning: count,
  })
  .meta({
    id: "Usage",
    description:
      "Tokens. The parts do not overlap, except that `reasoning` is contained in `output`: the prompt is `input + cacheRead + cacheWrite`.",
  });

const header = {
  id: z.string(),
  sessionId: z.string(),
  parentId: z.string().nullable(),
  seq: z.int().min(1).meta({ description: "Position in the session's log: a reader's cursor." }),
  at: z.int().meta({ description: "Milliseconds since 1970." }),
  v: z.literal(1),
};

const run = { runId: z.string() };
const error = z.strictObject({ code: z.string(), message: z.string(), hint: optionalText });
const fork = z.strictObject({ sessionId: z.string(), entryId: z.string() });

const modelFailure = z.strictObject({
  kind: z.enum([
    "rateLimited",
    "overloaded",
    "network",
    "timeout",
    "contextOverflow",
    "refused",
    "badRequest",
    "authentication",
    "quota",
    "unknown",
  ]),
  message: z.string(),
  status: z.exactOptional(z.int()),
  retryAfterMs: z.exactOptional(z.number()),
});

const runEnd = z.enum(["endTurn", "stopped", "turnLimit", "timeLimit", "maxTokens", "refused"]);

const entries = [
  z.strictObject({
    ...header,
    type: z.literal("sessionCreated"),
    agent: z.string(),
    forkedFrom: z.exactOptional(fork),
  }),
  z.strictObject({
    ...header,
    type: z.literal("userMessage"),
    blocks: z.array(userBlockSchema),
    inboxId: z.string(),
    model: optionalText,
  }),
  z.strictObject({ ...header, ...run, type: z.literal("runStarted"), model: z.string() }),
  z.strictObject({ ...header, ...run, type: z.literal("runResumed"), nodeId: z.string(), epoch: z.int() }),
  z.strictObject({ ...header, ...run, type: z.literal("modelCalled"), model: z.string(), attempt: z.int() }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("modelFailed"),
    model: z.string(),
    attempt: z.int(),
    failure: modelFailure,
    durationMs: z.number(),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("assistantMessage"),
    model: z.string(),
    blocks: z.array(assistantBlock),
    stopReason: z.enum(["endTurn", "toolCalls", "maxTokens", "refused", "other"]),
    usage: usageSchema,
    costUsd: z.number().nullable(),
    timing: z.strictObject({ firstTokenMs: z.number().nullable(), totalMs: z.number() }),
    sidecar: z.exactOptional(z.strictObject({ provider: z.string(), data: z.unknown() })),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("toolStarted"),
    callId: z.string(),
    operationId: z.string(),
    name: z.string(),
    effect: z.enum(["readonly", "idempotent", "keyed", "reconcile", "once"]),
    attempt: z.int(),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("toolFinished"),
    callId: z.string(),
    name: z.string(),
    outcome: z.enum(["ok", "error", "invalid", "denied", "cancelled", "timedOut", "unknown"]),
    blocks: z.array(userBlockSchema),
    details: z.exactOptional(z.record(z.string(), z.unknown())),
    durationMs: z.number(),
  }),
  z.strictObject({ ...header, type: z.literal("stopRequested"), inboxId: z.string(), reason: optionalText }),
  z.strictObject({ ...header, ...run, type: z.literal("runFinished"), reason: runEnd }),
  z.strictObject({ ...header, ...run, type: z.literal("runFailed"), error }),
] as const;

export const entrySchema = z
  .discriminatedUnion("type", entries)
  .meta({ id: "Entry", description: "One thing that durably happened in a session." });

export const wireErrorSchema = z
  .strictObject({
    error: z.strictObject({
      code: z.string().meta({ description: "Stable; what programs switch on." }),
      message: z.string().meta({ description: "What is wrong and where." }),
      hint: optionalText.meta({ description: "What to do about it." }),
      details: z.exactOptional(z.record(z.string(), z.unknown())),
    }),
  })
  .meta({ id: "Error" });

const delta = { ...run, text: z.string() };
const call = { ...run, callId: z.string() };

const deltas = [
  z.strictObject({ type: z.literal("textDelta"), ...delta }),
  z.strictObject({ type: z.literal("reasoningDelta"), ...delta }),
  z.strictObject({ type: z.literal("toolCallStarted"), ...call, name: z.string() }),
  z.strictObject({ type: z.literal("toolCallDelta"), ...call, text: z.string() }),
  z.strictObject({
    type: z.literal("toolOutput"),
    ...call,
    stream: z.enum(["stdout", "stderr"]),
    text: z.string(),
  }),
  z.strictObject({
    type: z.literal("toolProgress"),
    ...call,
    message: z.string(),
    fraction: z.exactOptional(z.number()),
  }),
  z.strictObject({ type: z.literal("notice"), code: z.string(), message: z.string() }),
  z.strictObject({ type: z.literal("retracted"), ...run }),
] as const;

const entryEvent = z.strictObject({ type: z.literal("entry"), entry: entrySchema });
const runEventSchema = z.discriminatedUnion("type", [entryEvent, ...deltas]);

/** One `data:` line of an event stream. */
export const wireEventSchema = z
  .discriminatedUnion("type", [
    entryEvent,
    ...deltas,
    z.strictObject({ type: z.literal("end") }).meta({ description: "The run that was followed has ended." }),
    z.strictObject({ type: z.literal("error"), ...wireErrorSchema.shape }),
  ])
  .meta({
    id: "StreamEvent",
    description:
      "Durable entries, each exactly once and in order, with their `seq` as the event's id; between them deltas without an id, which are a courtesy: the entry that follows holds the whole.",
  });

// The schemas and the types of the core are the same thing said twice; these lines fail to compile when they part.
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
true satisfies Same<DeepReadonly<z.infer<typeof entrySchema>>, DeepReadonly<Entry>>;
true satisfies Same<DeepReadonly<z.infer<typeof runEventSchema>>, DeepReadonly<RunEvent>>;
