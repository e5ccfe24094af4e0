import { z } from "zod";
import type { SessionRecord } from "../log/session-log.ts";
import { usageSchema, userBlockSchema } from "./content-schemas.ts";
import { entrySchema, inboxItemSchema } from "./entry-schemas.ts";
import { permissionModeSchema } from "./interrupt-schemas.ts";
import { interruptSchema } from "./ledger-schemas.ts";

/**
 * Every request and answer of the API. The one source: requests are checked with these, the client's types are inferred
 * from them, and the OpenAPI document is made of them. Requests are strict, so that a misspelt field is not ignored.
 */

/** A JSON body. More goes into a file: prompts are held in memory and sent to the model in full with every turn. */
export const JSON_BYTES = 16 * 1024 * 1024;
/** An uploaded file, which is streamed to disk. */
export const UPLOAD_BYTES = 100 * 1024 * 1024;

export const sessionIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,255}$/, {
    error: "expected 1 to 256 characters of A-Z a-z 0-9 . _ : - that start with a letter or digit",
  })
  .meta({ examples: ["s_01jcd3zv6k8h5m2n9p4q7r1s0t"] });

const model = z
  .string()
  .min(1)
  .max(256)
  .meta({
    description: "Use this model for the run instead of the agent's.",
    examples: ["anthropic/claude-sonnet-4-6"],
  });

const agentName = z.string().min(1).max(64);

const prompt = z
  .union([z.string().min(1), z.array(userBlockSchema).min(1)])
  .meta({ description: "Text, or text and images." });

const sending = {
  prompt,
  model: z.exactOptional(model),
  delivery: z.exactOptional(
    z.enum(["steer", "followUp", "interrupt", "reject"]).meta({
      description:
        "What becomes of it while a run goes on. `steer`: the run sees it before its next model call. `followUp`: it is answered by a run of its own, afterwards. `interrupt`: the run is stopped, then it is answered. `reject`: it is refused with 409. Default: the agent's `delivery`.",
    }),
  ),
  mode: z.exactOptional(
    permissionModeSchema.meta({
      description: "Before the message, the session is switched to this mode, and stays in it.",
    }),
  ),
  actor: z.exactOptional(
    z.string().min(1).max(256).meta({
      description:
        "Who sends it, for the record. Default: the person of the token, or its tenant. Another one than the person of the token: 403.",
    }),
  ),
};

export const invocationSchema = z
  .strictObject({
    ...sending,
    agent: z.exactOptional(
      agentName.meta({ description: "Default: the session's agent, or the only one that is served." }),
    ),
  })
  .meta({ id: "Invocation" });

export const invocationAnswerSchema = z
  .strictObject({
    text: z
      .string()
      .meta({ description: "The last text of the model in this run; empty when it wrote none." }),
    sessionId: z.string(),
    runId: z.string(),
    reason: z.string().meta({
      description: "Why the run ended. `waiting`: it has not; `interrupt` has to be answered first.",
      examples: ["endTurn", "stopped", "turnLimit", "waiting"],
    }),
    interrupt: z.exactOptional(interruptSchema),
    usage: usageSchema,
    costUsd: z.number().nullable().meta({ description: "Null when the price of a call is not known." }),
  })
  .meta({ id: "InvocationAnswer" });

export const pingSchema = z
  .strictObject({
    status: z.enum(["Healthy", "HealthyBusy"]),
    time_of_last_update: z
      .int()
      .meta({ description: "Seconds since 1970 at which the status last changed." }),
  })
  .meta({ id: "Ping" });

export const readySchema = z
  .strictObject({ status: z.enum(["ready", "draining"]) })
  .meta({ id: "Readiness" });

export const agentSummarySchema = z
  .strictObject({
    name: z.string(),
    description: z.string(),
    model: z.string(),
    tools: z.array(z.string()),
    limits: z.strictObject({ turns: z.int(), durationMs: z.number() }),
  })
  .meta({ id: "Agent" });

export const agentListSchema = z
  .strictObject({ agents: z.array(agentSummarySchema) })
  .meta({ id: "AgentList" });

export const createSessionSchema = z
  .strictObject({
    agent: z.exactOptional(agentName.meta({ description: "Default: the only one that is served." })),
    id: z.exactOptional(sessionIdSchema),
    title: z.exactOptional(z.string().max(500)),
  })
  .meta({ id: "CreateSession" });

export const sessionStatusSchema = z.enum(["idle", "queued", "running", "waiting"]);

export const sessionSchema = z
  .strictObject({
    id: z.string(),
    agent: z.string(),
    tenant: z.string().meta({ description: "Whose it is: the name that stands before the caller's token." }),
    title: z.string().nullable(),
    status: sessionStatusSchema,
    lastRunEnd: z.string().nullable(),
    headId: z.string().nullable(),
    headSeq: z.int(),
    createdAt: z.int(),
    updatedAt: z.int(),
    turns: z.int(),
    usage: usageSchema,
    costUsd: z.number(),
    unpricedCalls: z.int().meta({ description: "When above 0, `costUsd` is a lower bound." }),
    forkedFrom: z.strictObject({ sessionId: z.string(), entryId: z.string() }).nullable(),
  })
  .meta({ id: "Session" }) satisfies z.ZodType<SessionRecord>;

export const sessionListSchema = z
  .strictObject({
    sessions: z.array(sessionSchema),
    next: z
      .string()
      .nullable()
      .meta({ description: "Pass it as `after` for the next page; null on the last one." }),
  })
  .meta({ id: "SessionList" });

const wholeNumber = (smallest: number, largest: number) => z.coerce.number().int().min(smallest).max(largest);

export const sessionQuerySchema = z.strictObject({
  agent: z.exactOptional(agentName),
  status: z.exactOptional(sessionStatusSchema),
  forkOf: z.exactOptional(sessionIdSchema.meta({ description: "Only forks of this session." })),
  after: z.exactOptional(
    z.string().meta({ description: "The page that follows: `next` of the page before, as it was." }),
  ),
  limit: wholeNumber(1, 1000).default(50),
});

export const deletionQuerySchema = z.strictObject({
  onlyUnused: z
    .enum(["true", "false"])
    .default("false")
    .meta({ description: "Only if nothing was ever sent to it; else it stays, and this is a 409." }),
});

export const messageSchema = z.strictObject(sending).meta({ id: "Message" });

export const inboxSchema = z
  .strictObject({ items: z.array(inboxItemSchema).meta({ description: "Oldest first." }) })
  .meta({ id: "Inbox" });

export const acceptedMessageSchema = z
  .strictObject({
    messageId: z.string(),
    duplicate: z
      .boolean()
      .meta({ description: "The idempotency key was seen before: nothing new was stored." }),
    links: z.strictObject({
      session: z.string(),
      events: z.string().meta({ description: "What happens in the session from here on." }),
      run: z.string().meta({ description: "The same, ending with the run that answers this message." }),
    }),
  })
  .meta({ id: "AcceptedMessage" });

export const eventsQuerySchema = z.strictObject({
  after: z.exactOptional(
    wholeNumber(0, Number.MAX_SAFE_INTEGER).meta({
      description:
        "Where to start: only entries with a greater `seq`. A reader that comes back sends Last-Event-ID and keeps this as it was. Default 0.",
    }),
  ),
  message: z.exactOptional(
    z.string().min(1).max(256).meta({
      description:
        "End after the run that answers this message (its id), which has to stand after the start.",
    }),
  ),
  format: z.enum(["sse", "json"]).default("sse"),
  limit: wholeNumber(1, 1000).default(100).meta({ description: "With `format=json`: entries on a page." }),
});

export const entryListSchema = z
  .strictObject({
    entries: z.array(entrySchema),
    nextAfter: z
      .int()
      .nullable()
      .meta({ description: "Pass it as `after` for the next page; null when there is no more now." }),
  })
  .meta({ id: "EntryList" });

export const stopSchema = z
  .strictObject({ reason: z.exactOptional(z.string().max(500)) })
  .meta({ id: "Stop" });

export const stoppedSchema = z
  .strictObject({ stopped: z.boolean().meta({ description: "False when nothing was running." }) })
  .meta({ id: "Stopped" });

export const execSchema = z
  .strictObject({
    command: z
      .string()
      .min(1)
      .meta({ description: "A bash script.", examples: ["ls -la"] }),
    cwd: z.exactOptional(z.string().min(1)),
    stdin: z.exactOptional(z.string()),
    timeoutMs: z.exactOptional(z.int().min(1).max(86_400_000).meta({ description: "Default 10 minutes." })),
    killOnDisconnect: z
      .boolean()
      .default(false)
      .meta({ description: "End the command when the caller hangs up. Otherwise it goes on." }),
  })
  .meta({ id: "Exec" });

const exitFields = {
  exitCode: z.int().nullable().meta({ description: "Null when a signal ended it." }),
  signal: z.string().nullable(),
  timedOut: z.boolean(),
  killed: z.boolean(),
  durationMs: z.number(),
  droppedBytes: z
    .int()
    .meta({ description: "Output that the sandbox did not keep for a reader that came late." }),
};

export const execAnswerSchema = z
  .strictObject({
    operationId: z.string(),
    stdout: z.string().meta({ description: "At most the first 1 MiB; stream the command to get all." }),
    stderr: z.string(),
    omittedBytes: z.int().meta({ description: "Output beyond what is shown here." }),
    ...exitFields,
  })
  .meta({ id: "ExecAnswer" });

export const execEventSchema = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("started"), operationId: z.string() }),
    z.strictObject({ type: z.literal("output"), stream: z.enum(["stdout", "stderr"]), text: z.string() }),
    z.strictObject({ type: z.literal("exit"), ...exitFields }),
    z.strictObject({ type: z.literal("error"), error: z.record(z.string(), z.unknown()) }),
  ])
  .meta({ id: "ExecEvent" });

export const directorySchema = z
  .strictObject({
    path: z.string(),
    entries: z.array(
      z.strictObject({
        name: z.string(),
        type: z.enum(["file", "directory", "symlink", "other"]),
        size: z.int(),
      }),
    ),
  })
  .meta({ id: "Directory" });

export const writtenFileSchema = z
  .strictObject({ path: z.string(), size: z.int(), created: z.boolean() })
  .meta({ id: "WrittenFile" });

export const deleteQuerySchema = z.strictObject({
  recursive: z
    .enum(["true", "false"])
    .default("false")
    .meta({ description: "Also delete a directory with all that is in it." }),
});

export type Invocation = z.input<typeof invocationSchema>;
export type InvocationAnswer = z.output<typeof invocationAnswerSchema>;
export type AgentSummary = z.output<typeof agentSummarySchema>;
export type Message = z.output<typeof messageSchema>;
export type AcceptedMessage = z.output<typeof acceptedMessageSchema>;
export type ExecEvent = z.output<typeof execEventSchema>;
export type ExecAnswer = z.output<typeof execAnswerSchema>;
export type Directory = z.output<typeof directorySchema>;
export type WrittenFile = z.output<typeof writtenFileSchema>;
