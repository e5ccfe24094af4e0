import { z } from "zod";

/** A question to a person, and what can be answered, as they are in the log. */

const optionalText = z.exactOptional(z.string());
const names = z.exactOptional(z.array(z.string()));
const time = z.exactOptional(z.int());

export const permissionModeSchema = z.enum(["default", "acceptEdits", "plan", "auto", "dontAsk", "bypass"]);

export const permissionSchema = z
  .strictObject({
    layer: z.enum(["validation", "mode", "rules", "classifier", "hook", "person"]),
    by: z
      .string()
      .meta({ description: "Which mode, rule, hook or person.", examples: ["deny: shell(rm *)", "alice"] }),
  })
  .meta({ id: "Permission", description: "Which of the layers decided that a call may start, or may not." });

export const riskSchema = z
  .strictObject({
    reversibility: z.enum(["none", "undoable", "hard", "irreversible"]),
    reach: z.enum(["workspace", "session", "outside"]),
    why: z.array(z.string()),
  })
  .meta({ id: "Risk", description: "How hard a call is to take back, and how far it reaches." });

const terms = {
  approvers: names.meta({ description: "Names of those who may answer. Absent: anybody." }),
  excluded: names.meta({ description: "Names of those who may not: they asked for it." }),
  quorum: z
    .exactOptional(z.int())
    .meta({ description: "How many different people have to approve. Default 1." }),
  expiresAt: time.meta({ description: "Milliseconds since 1970." }),
  onExpire: z.exactOptional(z.enum(["deny", "approve", "escalate", "askAgain"])),
  escalateTo: names,
  remindAt: z.exactOptional(z.array(z.int())),
  abandonAt: time.meta({ description: "When the run is given up because nobody has answered." }),
  round: z.exactOptional(z.int()).meta({ description: "How often it was asked before this." }),
};

const call = z.strictObject({
  callId: z.string(),
  tool: z.string(),
  input: z.unknown(),
  risk: riskSchema,
});

const message = z.string().meta({ description: "For people: what is asked, and why." });

const approval = z.strictObject({
  ...terms,
  kind: z.enum(["approval", "breakpoint"]),
  message,
  call,
  permission: permissionSchema,
  binding: z
    .string()
    .meta({ description: "Of tool, arguments and policy: the answer holds for these only." }),
  preview: z.exactOptional(
    z.strictObject({
      type: z.enum(["diff", "command", "text"]),
      text: z.string(),
      basis: optionalText,
    }),
  ),
  changedSince: z.exactOptional(z.literal(true)),
});

const outcome = z.strictObject({ ...terms, kind: z.literal("outcome"), message, call });

const question = z.strictObject({
  ...terms,
  kind: z.enum(["question", "auth"]),
  message,
  call,
  schema: z
    .exactOptional(z.record(z.string(), z.unknown()))
    .meta({ description: "JSON Schema of the value that is asked for. Absent: any text." }),
  url: optionalText.meta({ description: "Where a person has to go (`auth`)." }),
});

const budget = z.strictObject({
  ...terms,
  kind: z.literal("budget"),
  message,
  budget: z.strictObject({
    scope: z.enum(["run", "session", "agent", "tenant"]),
    key: z.string(),
    limitUsd: z.number(),
    spentUsd: z.number(),
    neededUsd: z.number(),
  }),
});

export const interruptRequestSchema = z
  .discriminatedUnion("kind", [approval, outcome, question, budget])
  .meta({ id: "InterruptRequest", description: "What is asked, and on which terms." });

export const interruptAnswerSchema = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("raise"), limitUsd: z.number() }),
  z.strictObject({ action: z.literal("end") }),
  z.strictObject({ action: z.literal("approve"), always: z.exactOptional(z.enum(["session", "agent"])) }),
  z.strictObject({ action: z.literal("edit"), input: z.unknown() }),
  z.strictObject({ action: z.literal("reject"), feedback: optionalText }),
  z.strictObject({ action: z.literal("respond"), value: z.unknown() }),
  z.strictObject({ action: z.literal("done"), note: optionalText }),
  z.strictObject({ action: z.literal("retry") }),
  z.strictObject({ action: z.literal("skip") }),
  z.strictObject({
    action: z.literal("expired"),
    onExpire: z.enum(["deny", "approve", "escalate", "askAgain"]),
  }),
  z.strictObject({ action: z.literal("abandoned") }),
  z.strictObject({ action: z.literal("stale") }),
  z.strictObject({ action: z.literal("withdrawn") }),
]);
