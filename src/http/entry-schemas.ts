import { z } from "zod";
import type { Entry } from "../log/entry.ts";
import type { Delta } from "../run/session/events.ts";
import type { InboxItem } from "../run/worker/queue.ts";
import {
  assistantBlockSchema,
  sidecarSchema,
  transcriptMessageSchema,
  usageSchema,
  userBlockSchema,
} from "./content-schemas.ts";
import {
  interruptAnswerSchema,
  interruptRequestSchema,
  permissionModeSchema,
  permissionSchema,
} from "./interrupt-schemas.ts";
import { interruptSchema } from "./ledger-schemas.ts";

/** What the log and the stream hold, as schemas: for the OpenAPI document, and for readers that check what they get. */

const optionalText = z.exactOptional(z.string());

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

const failureKind = z.enum([
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
]);

const modelFailure = z.strictObject({
  kind: failureKind,
  message: z.string(),
  status: z.exactOptional(z.int()),
  retryAfterMs: z.exactOptional(z.number()),
});

const runEnd = z.enum([
  "endTurn",
  "stopped",
  "turnLimit",
  "timeLimit",
  "maxTokens",
  "refused",
  "budget",
  "hook",
  "abandoned",
]);

const left = z.exactOptional(z.array(z.string())).meta({
  description: "Messages that runs to come will answer: too late for this one, or to have one of their own.",
});

export const deliverySchema = z.enum(["steer", "followUp", "interrupt"]);

const prefixBreak = z.enum(["start", "promptChanged", "toolsChanged", "modelChanged", "compacted"]);
const purpose = z.exactOptional(z.enum(["summary", "classification"])).meta({
  description: "No turn of the conversation: the request of a compaction, or about a call in mode `auto`.",
});
const cost = z.number().nullable().meta({ description: "US dollars; null when the price is not known." });

export const workspaceOriginSchema = z
  .strictObject({
    from: z.enum(["snapshot", "template", "now"]),
    snapshot: optionalText,
    skipped: z.int().meta({ description: "How many files the snapshot left out." }),
  })
  .meta({ id: "WorkspaceOrigin", description: "What the files of the workspace were made from." });
const workspaceOrigin = z.exactOptional(workspaceOriginSchema);
const rule = {
  scope: z.enum(["session", "agent"]),
  list: z.enum(["deny", "ask", "allow"]),
  rule: z.string().meta({ description: "As it would stand in harness.json." }),
};

const permissionsOfSession = z.exactOptional(
  z.strictObject({ mode: z.exactOptional(permissionModeSchema), rules: z.array(z.strictObject(rule)) }),
);

const reservation = z.strictObject({
  usd: z.number(),
  maxOutputTokens: z.exactOptional(z.int()),
  budgets: z.array(
    z.strictObject({
      scope: z.enum(["agent", "tenant"]),
      key: z.string(),
      day: z.string(),
      limitUsd: z.number(),
    }),
  ),
});

const entries = [
  z.strictObject({
    ...header,
    type: z.literal("sessionCreated"),
    agent: z.string(),
    forkedFrom: z.exactOptional(fork),
    files: workspaceOrigin,
    permissions: permissionsOfSession,
    waits: z.exactOptional(z.literal(true)),
  }),
  z.strictObject({
    ...header,
    type: z.literal("userMessage"),
    blocks: z.array(userBlockSchema),
    inboxId: z.string(),
    model: optionalText,
    delivery: z.exactOptional(deliverySchema),
    actor: optionalText,
  }),
  z.strictObject({ ...header, ...run, type: z.literal("runStarted"), model: z.string() }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("runResumed"),
    nodeId: z.string(),
    epoch: z.int(),
    lostCall: z.exactOptional(z.literal(true)),
  }),
  z.strictObject({
    ...header,
    type: z.literal("contextOpened"),
    cause: prefixBreak,
    promptHash: z.string(),
    toolsHash: z.string(),
    tools: z.array(z.string()),
    deferred: z.array(z.string()),
    sections: z.array(
      z.strictObject({
        name: z.enum(["project", "memory", "environment"]),
        source: z.string(),
        text: z.string(),
      }),
    ),
  }),
  z.strictObject({
    ...header,
    type: z.literal("contextAdded"),
    source: z.string(),
    text: z.string(),
    mode: z.exactOptional(permissionModeSchema),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("modelCalled"),
    model: z.string(),
    attempt: z.int(),
    purpose,
    prefix: z.exactOptional(
      z.strictObject({
        hash: z.string(),
        tokens: z.number(),
        reusable: z.number(),
        broke: z.exactOptional(prefixBreak),
      }),
    ),
    reservation: z.exactOptional(reservation),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("modelFailed"),
    model: z.string(),
    attempt: z.int(),
    failure: modelFailure,
    durationMs: z.number(),
    purpose,
    lostCall: z.exactOptional(z.literal(true)),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("modelSwitched"),
    from: z.string(),
    to: z.string(),
    why: failureKind,
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("answerPart"),
    model: z.string(),
    blocks: z.array(assistantBlockSchema),
    sidecar: z.exactOptional(sidecarSchema),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("assistantMessage"),
    model: z.string(),
    blocks: z.array(assistantBlockSchema),
    stopReason: z.enum(["endTurn", "toolCalls", "maxTokens", "refused", "other"]),
    usage: usageSchema,
    costUsd: cost,
    brokeOff: z.exactOptional(z.literal(true)),
    timing: z.strictObject({ firstTokenMs: z.number().nullable(), totalMs: z.number() }),
    sidecar: z.exactOptional(sidecarSchema),
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
    permission: z.exactOptional(permissionSchema),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("toolFinished"),
    callId: z.string(),
    name: z.string(),
    outcome: z.enum([
      "ok",
      "error",
      "invalid",
      "denied",
      "expired",
      "answered",
      "cancelled",
      "timedOut",
      "unknown",
    ]),
    blocks: z.array(userBlockSchema),
    structured: z.exactOptional(
      z.unknown().meta({ description: "The result as JSON, of tools that have one." }),
    ),
    details: z.exactOptional(z.record(z.string(), z.unknown())),
    durationMs: z.number(),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("hookDecided"),
    hook: z.string(),
    point: z.enum([
      "sessionStart",
      "input",
      "beforeModel",
      "beforeTool",
      "afterTool",
      "beforeCompact",
      "runEnd",
    ]),
    subject: z.string(),
    decision: z.enum(["allow", "change", "ask", "veto", "end", "failed", "timedOut"]),
    blocks: z.boolean(),
    reason: optionalText,
    input: z.exactOptional(z.unknown()),
    context: optionalText,
    durationMs: z.number(),
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("callClassified"),
    callId: z.string(),
    binding: z.string(),
    decision: z.enum(["allow", "ask", "deny"]),
    reason: z.string(),
    model: z.string().nullable(),
    failed: z.exactOptional(z.literal(true)),
    usage: usageSchema,
    costUsd: cost,
    durationMs: z.number(),
  }),
  z.strictObject({
    ...header,
    type: z.literal("modeChanged"),
    mode: permissionModeSchema,
    inboxId: optionalText,
    actor: optionalText,
  }),
  z.strictObject({
    ...header,
    ...rule,
    type: z.literal("ruleAdded"),
    inboxId: optionalText,
    actor: optionalText,
  }),
  z.strictObject({
    ...header,
    runId: optionalText,
    type: z.literal("workspaceSaved"),
    snapshot: z.string(),
    files: z.int(),
    bytes: z.number(),
    added: z.int(),
    changed: z.int(),
    removed: z.int(),
    skipped: z.array(z.strictObject({ path: z.string(), why: z.string() })),
    durationMs: z.number(),
  }),
  z.strictObject({
    ...header,
    type: z.literal("headMoved"),
    from: z.string(),
    files: workspaceOrigin,
    spent: z.strictObject({
      usage: usageSchema,
      costUsd: z.number(),
      unpricedCalls: z.int(),
      lostUsd: z.number(),
    }),
    permissions: permissionsOfSession,
    actor: optionalText,
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("resultsCleared"),
    results: z.array(z.strictObject({ callId: z.string(), file: z.string().nullable() })),
    tokensBefore: z.number(),
    tokensAfter: z.number(),
  }),
  z.strictObject({
    ...header,
    runId: optionalText,
    type: z.literal("compacted"),
    tier: z.enum(["summary", "emergency", "repair"]),
    messages: z.array(transcriptMessageSchema),
    carried: z.record(z.string(), z.unknown()).meta({
      description: "What the server needs to go on without reading further back. Not part of the interface.",
    }),
    tokensBefore: z.number(),
    tokensAfter: z.number(),
    usage: usageSchema,
    costUsd: cost,
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("compactionFailed"),
    tier: z.enum(["results", "summary", "emergency"]),
    reason: z.string(),
    tokens: z.number(),
    usage: usageSchema,
    costUsd: cost,
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("interrupted"),
    interruptId: z.string(),
    request: interruptRequestSchema,
  }),
  z.strictObject({
    ...header,
    type: z.literal("interruptVoted"),
    interruptId: z.string(),
    inboxId: z.string(),
    actor: z.string(),
  }),
  z.strictObject({ ...header, ...run, type: z.literal("runPaused") }),
  z.strictObject({
    ...header,
    type: z.literal("interruptResolved"),
    interruptId: z.string(),
    inboxId: optionalText,
    answer: interruptAnswerSchema,
    actor: optionalText,
    channel: optionalText.meta({ description: "How: `cli`, `http`, `link`; `clock` for what time did." }),
    waitedMs: z.exactOptional(z.number()),
  }),
  z.strictObject({
    ...header,
    type: z.literal("stopRequested"),
    inboxId: optionalText,
    reason: optionalText,
  }),
  z.strictObject({
    ...header,
    ...run,
    type: z.literal("runFinished"),
    reason: runEnd,
    lostCall: z.exactOptional(z.literal(true)),
    left,
  }),
  z.strictObject({ ...header, ...run, type: z.literal("runFailed"), error, left }),
] as const;

export const entrySchema = z
  .discriminatedUnion("type", entries)
  .meta({ id: "Entry", description: "One thing that durably happened in a session." });

const command = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("message"),
    blocks: z.array(userBlockSchema),
    model: optionalText,
    delivery: z.exactOptional(deliverySchema),
    actor: optionalText,
  }),
  z.strictObject({
    type: z.literal("answer"),
    interruptId: z.string(),
    answer: interruptAnswerSchema,
    actor: optionalText,
    channel: optionalText,
    rules: z.exactOptional(z.array(z.strictObject(rule))),
  }),
  z.strictObject({ type: z.literal("vote"), interruptId: z.string(), actor: z.string() }),
  z.strictObject({ type: z.literal("mode"), mode: permissionModeSchema, actor: optionalText }),
  z.strictObject({ type: z.literal("rule"), rule: z.strictObject(rule), actor: optionalText }),
  z.strictObject({ type: z.literal("stop"), reason: optionalText }),
]);

export const inboxItemSchema = z
  .strictObject({ id: z.string(), at: z.int().meta({ description: "Milliseconds since 1970." }), command })
  .meta({ id: "InboxItem", description: "What was sent to a session and is not in its log yet." });

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

const waitingEvent = z.strictObject({ type: z.literal("waiting"), interrupt: interruptSchema }).meta({
  description:
    "The last event where a message was to be followed to its answer, and a person has to decide first.",
});

const entryEvent = z.strictObject({ type: z.literal("entry"), entry: entrySchema });
/** One `data:` line of an event stream. */
export const wireEventSchema = z
  .discriminatedUnion("type", [
    entryEvent,
    ...deltas,
    waitingEvent,
    z.strictObject({ type: z.literal("end") }).meta({
      description: "The run that was followed has ended, or waits for a person (`waiting` stands before).",
    }),
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
type Published<T> = T extends { readonly carried: unknown }
  ? Omit<T, "carried"> & { readonly carried: Readonly<Record<string, unknown>> }
  : T;
true satisfies Same<DeepReadonly<z.infer<typeof entrySchema>>, DeepReadonly<Published<Entry>>>;
true satisfies Same<DeepReadonly<z.infer<(typeof deltas)[number]>>, DeepReadonly<Delta>>;
true satisfies Same<DeepReadonly<z.infer<typeof inboxItemSchema>>, DeepReadonly<InboxItem>>;
