import { z } from "zod";
import { wireErrorSchema } from "./entry-schemas.ts";
import { permissionModeSchema } from "./interrupt-schemas.ts";
import { interruptViewSchema } from "./ledger-schemas.ts";

/** What people say to a session that works by itself: answers to its questions, its mode, rules. */

const actor = z.exactOptional(
  z.string().min(1).max(256).meta({
    description: "Who does it. Default: the person of the token. Another one than that: 403.",
  }),
);

/** Longer ones belong into a message. */
const words = z.string().max(20_000);

const answers = [
  z.strictObject({
    action: z.literal("approve"),
    always: z.exactOptional(
      z.enum(["session", "agent"]).meta({
        description: "And so may others that are exactly like it: in this session, or in all of its agent.",
      }),
    ),
    actor,
  }),
  z.strictObject({
    action: z.literal("edit"),
    input: z.unknown().meta({ description: "The arguments instead, which have to fit the tool's schema." }),
    actor,
  }),
  z.strictObject({
    action: z.literal("reject"),
    feedback: z.exactOptional(words.meta({ description: "For the model: why not, what else." })),
    actor,
  }),
  z.strictObject({
    action: z.literal("respond"),
    value: z.unknown().meta({
      description:
        "What was asked for, which has to fit its schema; of an approval: the call's result instead of running it.",
    }),
    actor,
  }),
  z.strictObject({ action: z.literal("done"), note: z.exactOptional(words), actor }),
  z.strictObject({ action: z.literal("retry"), actor }),
  z.strictObject({ action: z.literal("skip"), actor }),
  z.strictObject({
    action: z.literal("raise"),
    limitUsd: z.number().positive().meta({
      description:
        "The new limit in US dollars, instead of the old one. Of an agent or a tenant: until the end of the day (UTC), for all their sessions.",
    }),
    actor,
  }),
  z.strictObject({ action: z.literal("end"), actor }),
] as const;

export const answerSchema = z.discriminatedUnion("action", answers).meta({
  id: "InterruptAnswer",
  description: "An answer; which ones a question takes is in its `actions` and `answerSchema`.",
});

const id = z.string().min(1).max(256);

const [approve, edit, reject, respond, done, retry, skip, raise, end] = answers;

export const answersSchema = z
  .array(
    z.discriminatedUnion("action", [
      approve.extend({ id }),
      edit.extend({ id }),
      reject.extend({ id }),
      respond.extend({ id }),
      done.extend({ id }),
      retry.extend({ id }),
      skip.extend({ id }),
      raise.extend({ id }),
      end.extend({ id }),
    ]),
  )
  .min(1)
  .max(100)
  .meta({ id: "InterruptAnswers", description: "Each is given by itself, in this order." });

export const outcomesSchema = z
  .strictObject({
    outcomes: z.array(
      z.union([
        z.strictObject({
          id: z.string(),
          status: z.literal(200),
          replayed: z.boolean(),
          interrupt: interruptViewSchema,
        }),
        z.strictObject({ id: z.string(), status: z.int().min(400), ...wireErrorSchema.shape }),
      ]),
    ),
  })
  .meta({ id: "AnswerOutcomes", description: "What became of each answer, in their order." });

export const modeSchema = z.strictObject({ mode: permissionModeSchema, actor }).meta({ id: "ModeChange" });

export const modeAnswerSchema = z
  .strictObject({ mode: permissionModeSchema })
  .meta({ id: "Mode", description: "Counts from the session's next call on." });

const list = z.enum(["deny", "ask", "allow"]);
const rule = z
  .string()
  .min(1)
  .max(2_000)
  .meta({ description: "As in harness.json.", examples: ["shell(npm test*)"] });

export const newRuleSchema = z
  .strictObject({ scope: z.enum(["session", "agent"]).default("session"), list, rule, actor })
  .meta({ id: "NewRule" });

export const ruleSchema = z
  .strictObject({ scope: z.enum(["session", "agent"]), list, rule })
  .meta({ id: "Rule" });

export const ruleListSchema = z.strictObject({ rules: z.array(ruleSchema) }).meta({ id: "RuleList" });

export const sessionPermissionsSchema = z
  .strictObject({ mode: permissionModeSchema, rules: z.array(ruleSchema) })
  .meta({ id: "SessionPermissions", description: "Those of harness.json hold as well." });

export const ruleQuerySchema = z.strictObject({ list, rule });
