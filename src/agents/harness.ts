import { z } from "zod";
import { durationPattern, LONGEST_TIMER_MS, parseDuration, parseSize, sizePattern } from "../lib/units.ts";
import type { Effect, HookPoint, PermissionMode } from "../log/entry.ts";
import type { CacheLifetime, ReasoningEffort } from "../models/model.ts";
import { modelPricesSchema } from "../models/model-entry.ts";
import { parseRule } from "../permissions/rule.ts";
import type { SandboxKind } from "../sandboxes/sandbox.ts";
import { modelIdPattern } from "./choose-model.ts";

/**
 * The shape of harness.json: the fields that work today, each with its default. A file with a name and a prompt is an
 * agent. Other fields are a mistake, so that a typo, or a wish for a feature that is not there, is noticed.
 *
 * Descriptions and examples go to `schema/harness.json`, which editors read (`npm run schema`), and from there into the
 * hints of complaints.
 */
export type Harness = z.output<typeof harnessSchema>;
export type FunctionToolReference = z.output<typeof functionToolSchema>;
export type ToolReference = z.output<typeof toolSchema>;
export type HookReference = z.output<typeof hookSchema>;

export const effects: readonly Effect[] = ["readonly", "idempotent", "keyed", "reconcile", "once"];
const cacheLifetimes: readonly CacheLifetime[] = ["5m", "1h"];
const hookPoints: readonly HookPoint[] = [
  "sessionStart",
  "input",
  "beforeModel",
  "beforeTool",
  "afterTool",
  "beforeCompact",
  "runEnd",
];
const efforts = ["none", "low", "medium", "high"] as const satisfies readonly ReasoningEffort[];
const isolations = ["auto", "process", "virtual", "none"] as const satisfies readonly (
  | "auto"
  | SandboxKind
)[];

/** What names agents: lower-case letters, digits and hyphens, 1 to 64 characters. */
export const agentNamePattern = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

const duration = z
  .string()
  .regex(durationPattern, { error: 'expected a time such as "30s", "5m" or "1h30m"', abort: true })
  .refine((text) => inTimerRange(parseDuration(text)), { error: 'expected a time between "1ms" and "24d"' });

/** Of waiting for people: kept in the store, not in a timer. */
const wait = z
  .string()
  .regex(durationPattern, { error: 'expected a time such as "30m", "4h" or "7d"', abort: true })
  .refine((text) => inWaitRange(parseDuration(text)), { error: 'expected a time between "1ms" and "366d"' });

const keep = z
  .string()
  .regex(new RegExp(`^never$|${durationPattern.source}`), {
    error: 'expected a time such as "30d", or "never"',
    abort: true,
  })
  .refine((text) => parseDuration(text) !== 0, { error: 'expected a time above zero, or "never"' });

const retention = z.strictObject({
  abandoned: keep.default("30d").meta({
    description:
      "How long a session is kept whose last run was given up because nobody has answered, after somebody has last used it.",
    examples: ["7d", "never"],
  }),
  idle: keep.default("never").meta({
    description: "How long any session is kept that nobody uses. One that has work, or waits, is kept.",
    examples: ["90d"],
  }),
});

const size = z
  .string()
  .regex(sizePattern, { error: 'expected a size such as "512MiB" or "2GiB"', abort: true })
  .refine((text) => (parseSize(text) ?? 0) > 0, { error: "expected a size above zero" });

const path = z.string().min(1);

const modelId = z
  .string()
  .regex(modelIdPattern, { error: 'expected "provider/name"' })
  .meta({
    description: 'The model as "provider/name". "scripted" plays the file in `script`.',
    examples: ["anthropic/claude-sonnet-4-6", "openai/gpt-5.2", "ollama/qwen3"],
  });

const contextWindow = z
  .int()
  .min(1_000)
  .optional()
  .describe("Tokens of prompt and answer together. Default: what the catalogue knows of the model.");

const prices = modelPricesSchema
  .optional()
  .describe("US dollars for a million tokens. Default: what the catalogue knows of the model.");

const fallbackModel = z.strictObject({ id: modelId, contextWindow, prices });

type FallbackModel = z.output<typeof fallbackModel>;

const modelFields = z.strictObject({
  id: modelId.optional(),
  reasoning: z
    .enum(efforts)
    .optional()
    .describe("How much the model thinks before it answers. Default: what the provider does."),
  maxOutputTokens: z
    .int()
    .min(1)
    .optional()
    .describe("Upper limit of one answer. Default: what the provider allows."),
  fallback: z
    .array(z.union([modelId.transform((id): FallbackModel => ({ id })), fallbackModel]))
    .default([])
    .meta({
      description:
        "Models that a run goes on with, in order, when the one before does not answer: ids, or objects that also say what the catalogue does not know.",
      examples: [["openai/gpt-5.2"]],
    }),
  cache: z
    .enum(cacheLifetimes)
    .default("5m")
    .describe(
      "How long the provider keeps what it has cached of a session, where it lets us choose. 1h costs more to write.",
    ),
  timeouts: z
    .strictObject({
      firstToken: duration.optional().describe("Until the answer begins. Default: 5m."),
      betweenTokens: duration.optional().describe("Between two pieces of it. Default: 2m."),
    })
    .default({})
    .describe("How long the provider may say nothing before a request is given up and tried again."),
  contextWindow,
  prices,
  baseUrl: z
    .url({ protocol: /^https?$/, error: 'expected an address that starts with "http://" or "https://"' })
    .optional()
    .meta({
      description:
        "Address of the API, for a proxy or a server of your own that speaks the provider's protocol.",
      examples: ["http://127.0.0.1:8000/v1"],
    }),
  script: path.optional().meta({
    description:
      'A file with the turns of a scripted model. Played when no model key is found, and always when the id is "scripted".',
    examples: ["./script.yaml"],
  }),
});

const model = modelFields
  .refine(({ id, baseUrl }) => baseUrl === undefined || (id !== undefined && id !== "scripted"), {
    path: ["id"],
    error: "this field is missing: which model does the server of model.baseUrl run?",
  })
  .refine(({ id, script }) => id !== "scripted" || script !== undefined, {
    path: ["script"],
    error: 'this field is missing: a model with the id "scripted" plays a file',
  })
  .refine(({ contextWindow = Infinity, maxOutputTokens = 0 }) => maxOutputTokens < contextWindow, {
    path: ["maxOutputTokens"],
    error: "expected less than model.contextWindow, which prompt and answer share",
  });

const sandbox = z.strictObject({
  isolation: z
    .enum(isolations)
    .default("auto")
    .describe(
      "What separates commands from this machine. auto: the strongest kind that it can run. process: namespaces (bubblewrap). virtual: a shell written in TypeScript. none: nothing.",
    ),
  memory: size.default("2GiB").meta({ description: "Memory of all commands together.", examples: ["2GiB"] }),
  processes: z.int().min(1).default(256).describe("How many processes and threads may exist at once."),
  fileSize: size
    .default("1GiB")
    .meta({ description: "The largest file that a command may write.", examples: ["1GiB"] }),
  cpus: z.number().positive().default(2).describe("Processor time, in processors."),
});

const snapshots = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe("Whether sessions can go back to the files of an earlier moment, and forks begin with them."),
  maxFileSize: size.default("10MiB").meta({ description: "Larger files are left out.", examples: ["10MiB"] }),
  maxSize: size.default("1GiB").meta({
    description: "All files together; of more, a part is kept.",
    examples: ["1GiB"],
  }),
});

export const functionToolSchema = z.strictObject({
  type: z.literal("function").describe("A tool made with defineTool."),
  module: path.meta({
    description: "The TypeScript or JavaScript file that exports the tool.",
    examples: ["./tools/refund.ts"],
  }),
  export: z
    .string()
    .min(1)
    .optional()
    .describe("The name of the export. Default: the only tool that the module exports."),
  effect: z
    .enum(effects)
    .optional()
    .describe(
      "What becomes of a call that was under way in a crash. readonly, idempotent: run again. keyed: run again with the same operation id. reconcile: the tool is asked what became of it. once: not run again. Default: what the tool says.",
    ),
  parallel: z
    .boolean()
    .optional()
    .describe(
      "Its calls may run beside others of the same answer although they write, because they do not depend on each other. Default: what the tool says, or false.",
    ),
  timeout: duration.optional().meta({
    description: "After this time a call is ended. Default: what the tool says, or 2m.",
    examples: ["30s"],
  }),
});

const toolPattern = z.string().regex(/^[a-zA-Z0-9_*-]+$/, {
  error: 'expected the name of a tool, in which "*" stands for any characters',
});

const hookFields = {
  on: z.enum(hookPoints).describe("When it is asked; docs/hooks.md has a table."),
  name: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe("What messages call it. Default: its command or module."),
  tools: z
    .array(toolPattern)
    .optional()
    .meta({ description: "Only for calls of these tools. Default: all.", examples: [["shell", "write*"]] }),
  timeout: duration.default("10s").describe("How long it may take to answer."),
  onFailure: z
    .enum(["ignore", "block"])
    .default("block")
    .describe(
      "When it fails or takes too long: go on (ignore), or do not do what it was asked about (block).",
    ),
};

const askToolSchema = z.strictObject({
  type: z
    .literal("ask")
    .describe("The model may ask a person a question, and waits for the answer (ask_user)."),
});

export const toolSchema = z.discriminatedUnion("type", [functionToolSchema, askToolSchema]);

export const hookSchema = z.union([
  z.strictObject({
    ...hookFields,
    command: z
      .string()
      .min(1)
      .meta({
        description:
          "Runs on this machine, in the folder of harness.json; gets the question as JSON on its standard input and answers with JSON.",
        examples: ["./hooks/check.sh"],
      }),
  }),
  z.strictObject({
    ...hookFields,
    module: path.meta({
      description: "The TypeScript or JavaScript file that exports the function.",
      examples: ["./hooks/check.ts"],
    }),
    export: z.string().min(1).default("default").describe("The name of the export."),
  }),
]);

const context = z.strictObject({
  compactAt: z
    .number()
    .min(0.2)
    .max(0.95)
    .optional()
    .describe(
      "Share of the model's context window at which old messages are compacted. Default: 0.8, less for small windows.",
    ),
  maxTools: z
    .int()
    .min(1)
    .default(64)
    .describe(
      "Above this number, the tools that are used least are found by search instead of listed in full.",
    ),
  maxToolTokens: z
    .int()
    .min(500)
    .default(20_000)
    .describe("The same for the tokens that the descriptions of all tools take."),
});

const dollars = z.number().positive().optional();

const rule = z.string().superRefine((text, context) => {
  const parsed = parseRule(text);
  if (!parsed.ok) context.addIssue({ code: "custom", message: `not a rule: ${parsed.why}` });
});

const rules = {
  deny: z
    .array(rule)
    .default([])
    .meta({
      description: "What may not be called, whatever else allows it.",
      examples: [["shell(git push --force*)", "write(/etc/**)"]],
    }),
  ask: z
    .array(rule)
    .default([])
    .meta({
      description: "What a person decides about.",
      examples: [["shell(git push*)", "refund(amount>50)"]],
    }),
  allow: z
    .array(rule)
    .default([])
    .meta({
      description: "What may be called without asking, unless deny or ask say otherwise.",
      examples: [["shell(npm test*)", "write(src/**)", "*"]],
    }),
};

const modes = [
  "default",
  "acceptEdits",
  "plan",
  "auto",
  "dontAsk",
  "bypass",
] as const satisfies readonly PermissionMode[];

const permissions = z.strictObject({
  mode: z
    .enum(modes)
    .default("default")
    .describe(
      "What becomes of calls that no rule speaks of. default: reading goes, changing asks. acceptEdits: files of the workspace may be edited, too. plan: nothing that changes anything. auto: a classifier decides, and asks when unsure. dontAsk: what would ask is denied. bypass: everything goes; needs --allow-bypass.",
    ),
  ...rules,
  breakpoints: z
    .array(rule)
    .default([])
    .meta({ description: "What always waits for a person, in every mode.", examples: [["deploy"]] }),
  users: z
    .record(z.string().min(1), z.strictObject(rules))
    .default({})
    .describe("More rules for runs that answer messages of these people, by name (actor)."),
  classifier: z
    .strictObject({
      model: modelId.optional().describe("Default: the agent's model."),
      timeout: duration.default("15s").describe("Then a person is asked."),
    })
    .prefault({})
    .describe("Who decides in mode auto."),
});

const names = z.array(z.string().min(1)).default([]);

const approvals = z
  .strictObject({
    expiresAfter: wait.optional().meta({
      description: "How long a question is open. Default: until the run is given up.",
      examples: ["4h"],
    }),
    onExpire: z
      .enum(["deny", "approve", "escalate", "askAgain"])
      .default("deny")
      .describe(
        "What becomes of it then. escalate: `escalateTo` is asked. It never counts as a person's answer.",
      ),
    escalateTo: names.describe("Who is asked when nobody else has answered."),
    remindAfter: z
      .array(wait)
      .default([])
      .meta({ description: "When people are reminded, after the question.", examples: [["1h", "1d"]] }),
    abandonAfter: wait
      .default("7d")
      .describe("A run that has waited for so long is given up, and its session is listed as abandoned."),
    approvers: names.describe("Who may answer, by name (actor). Default: anybody who may use the session."),
    excludeRequester: z
      .boolean()
      .default(false)
      .describe("Whoever sent the message may not approve what comes of it."),
    quorum: z.int().min(1).max(20).default(1).describe("How many different people have to approve."),
    unknownOutcome: z
      .enum(["tell", "ask"])
      .default("tell")
      .describe("When nobody knows what became of a call in a crash: tell the model, or ask a person first."),
    webhook: z
      .url({ protocol: /^https?$/, error: 'expected an address that starts with "http://" or "https://"' })
      .optional()
      .meta({
        description: "Questions are sent there, signed, with a link to answer them.",
        examples: ["https://hooks.example.com/approvals"],
      }),
  })
  .refine(({ onExpire, escalateTo }) => onExpire !== "escalate" || escalateTo.length > 0, {
    path: ["escalateTo"],
    error: "this field is missing: who is asked when nobody else has answered?",
  })
  .superRefine(({ approvers, escalateTo, onExpire, quorum }, context) => {
    const atMost = (names: readonly string[], who: string) => {
      const most = new Set(names).size;
      if (most === 0 || quorum <= most) return;
      const message = `expected at most ${most}: there are not more ${who}`;
      context.addIssue({ code: "custom", path: ["quorum"], message });
    };
    atMost(approvers, "approvers");
    if (onExpire === "escalate") atMost(escalateTo, "people in escalateTo");
  })
  .superRefine(({ expiresAfter, onExpire, escalateTo, abandonAfter, excludeRequester }, context) => {
    const complain = (field: string, message: string) =>
      context.addIssue({ code: "custom", path: [field], message });
    // Those of escalateTo may also be asked at once, where the requester is excluded.
    const needsNoTime = onExpire === "deny" || (onExpire === "escalate" && excludeRequester);
    if (expiresAfter === undefined && !needsNoTime) {
      complain("expiresAfter", `this field is missing: without it "onExpire": "${onExpire}" never comes`);
    }
    if (escalateTo.length > 0 && onExpire !== "escalate") {
      complain("escalateTo", 'expected none without "onExpire": "escalate", since nobody asks them');
    }
    if (expiresAfter !== undefined && msOf(abandonAfter) <= msOf(expiresAfter)) {
      complain("expiresAfter", `expected less than abandonAfter (${abandonAfter}), when the run is given up`);
    }
  });

const limits = z.strictObject({
  turns: z.int().min(1).default(50).describe("How often the model may be called in one run."),
  duration: duration.default("30m").meta({ description: "How long one run may take.", examples: ["30m"] }),
  parallelCalls: z.int().min(1).max(1_000).default(10).describe("How many tool calls may run at once."),
  costUsd: dollars.describe("US dollars of one run. At the limit it waits for a person. Default: no limit."),
  sessionCostUsd: dollars.describe("US dollars of one session. Default: no limit."),
  dailyCostUsd: dollars.describe(
    "US dollars of all sessions of this agent in one day (UTC). Default: no limit.",
  ),
  runs: z
    .int()
    .min(1)
    .optional()
    .describe("How many runs of this agent may go on at once. Default: no limit."),
  sessionsPerMinute: z
    .int()
    .min(1)
    .optional()
    .describe("How many sessions of this agent may be created in a minute. Default: no limit."),
});

export const harnessSchema = z
  .strictObject({
    $schema: z.string().optional().describe("Where editors find the description of this file."),
    name: z
      .string()
      .regex(agentNamePattern, { error: "expected 1 to 64 lower-case letters, digits and hyphens" })
      .meta({ description: "Names the agent on the command line and in the API.", examples: ["analyst"] }),
    description: z.string().default("").describe("One sentence for the people who choose among agents."),
    systemPrompt: z
      .string()
      .min(1)
      .meta({
        description: 'Who the agent is and how it works. Text, or a file when it starts with "./" or "../".',
        examples: ["./system-prompt.md"],
      }),
    model: z
      .union([modelId.transform((id) => modelFields.parse({ id })), model])
      .optional()
      .describe("Which model answers. Default: one of the first provider for which a key is found."),
    workspace: path
      .optional()
      .meta({ description: "A folder whose files every new session starts with.", examples: ["./data"] }),
    tools: z
      .array(toolSchema)
      .default([])
      .describe("Tools of your own. The shell and the file tools are always there."),
    hooks: z
      .array(hookSchema)
      .default([])
      .describe("Commands or functions that are asked at named points of a run."),
    context: context.prefault({}).describe("What the model gets to see when a session grows long."),
    delivery: z
      .enum(["steer", "followUp", "interrupt", "reject"])
      .default("steer")
      .describe(
        "What becomes of a message that arrives during a run. steer: seen before the next model call. followUp: answered after the run. interrupt: the run is stopped for it. reject: refused.",
      ),
    permissions: permissions.prefault({}).describe("What the agent may do, and what it has to ask for."),
    approvals: approvals.prefault({}).describe("On which terms people are asked."),
    snapshots: snapshots
      .prefault({})
      .describe("The files of a session are kept as they are after each turn that can have changed them."),
    retention: retention
      .prefault({})
      .describe("When sessions that nobody uses any more are deleted, with their files."),
    sandbox: sandbox.prefault({}).describe("Where the agent's commands run, and what they may use."),
    limits: limits.prefault({}).describe("When a run is ended."),
  })
  .meta({ title: "harness.json", description: "One agent of Holdfast." });

/** The same as JSON Schema (draft 7, which all editors read), also the source of hints. */
export function harnessJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(harnessSchema, { io: "input", target: "draft-7" }) as Record<string, unknown>;
}

/** The schema has let only such texts pass. */
function msOf(duration: string): number {
  return parseDuration(duration) ?? 0;
}

function inTimerRange(ms: number | undefined): boolean {
  return ms !== undefined && ms >= 1 && ms <= LONGEST_TIMER_MS;
}

const LONGEST_WAIT_MS = 366 * 86_400_000;

function inWaitRange(ms: number | undefined): boolean {
  return ms !== undefined && ms >= 1 && ms <= LONGEST_WAIT_MS;
}
