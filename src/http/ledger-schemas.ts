import { z } from "zod";
import type { InterruptView } from "../run/session/answer-schema.ts";
import { type CostReport, costGroupings } from "../run/session/costs.ts";
import {
  type InterruptRecord,
  interruptKinds,
  interruptStatuses,
  personsActions,
} from "../run/session/interrupts.ts";
import { usageSchema } from "./content-schemas.ts";
import { interruptAnswerSchema, interruptRequestSchema } from "./interrupt-schemas.ts";

/** What people are asked, and what calls to models cost. */

const limit = z.coerce.number().int().min(1).max(1000).default(100);
const agent = z.exactOptional(z.string().min(1).max(64));

export const interruptSchema = z
  .strictObject({
    id: z.string(),
    sessionId: z.string(),
    agent: z.string(),
    runId: z.string(),
    at: z.int().meta({ description: "When it was asked, milliseconds since 1970." }),
    request: interruptRequestSchema,
    status: z
      .enum(interruptStatuses)
      .meta({ description: "`open`: the run waits. `closed`: its run ended without an answer." }),
    votes: z
      .array(z.strictObject({ actor: z.string(), at: z.int() }))
      .meta({ description: "Who has approved already, where several have to." }),
    answered: z
      .strictObject({
        answer: interruptAnswerSchema,
        actor: z.string().nullable(),
        channel: z
          .string()
          .nullable()
          .meta({ description: "`cli`, `http`, `link`; `clock` for what time has answered." }),
        at: z.int(),
      })
      .nullable(),
  })
  .meta({ id: "Interrupt", description: "A question to a person on which a run waits, or waited." });

/** As it is shown to whoever may answer. */
export const interruptViewSchema = z
  .strictObject({
    ...interruptSchema.shape,
    actions: z.array(z.enum(personsActions)).meta({ description: "What can be answered now." }),
    answerSchema: z
      .record(z.string(), z.unknown())
      .nullable()
      .meta({ description: "JSON Schema of an answer to exactly this question; null when it is closed." }),
  })
  .meta({ id: "InterruptView", description: "A question, and what can be answered to it." });

export const interruptListSchema = z
  .strictObject({ interrupts: z.array(interruptViewSchema).meta({ description: "The latest first." }) })
  .meta({ id: "InterruptList" });

export const interruptQuerySchema = z.strictObject({
  status: z.exactOptional(z.enum(interruptStatuses)),
  kind: z.exactOptional(z.enum(interruptKinds)),
  answerableBy: z.exactOptional(
    z.string().min(1).max(256).meta({ description: "Only those that this person may answer." }),
  ),
  mine: z
    .enum(["true", "false"])
    .default("false")
    .meta({ description: "Only those that the person of the token may answer." }),
  agent,
  sessionId: z.exactOptional(z.string().min(1).max(256)),
  limit,
});

/** A time as ISO 8601, or in milliseconds since 1970, with a year of four digits. */
const since = z.string().transform((text, context) => {
  const at = /^\d{10,16}$/.test(text) ? Number(text) : Date.parse(text);
  if (at >= 0 && at <= LAST_TIME) return at;
  context.addIssue({ code: "custom", message: "expected a time such as 2026-01-31 or 1769817600000" });
  return z.NEVER;
});

const LAST_TIME = Date.UTC(9999, 11, 31);

export const costQuerySchema = z.strictObject({
  by: z.enum(costGroupings).default("day"),
  since: z.exactOptional(since).meta({
    description:
      "From this day (UTC) on: 2026-01-31, or milliseconds since 1970. Default: from the first call.",
  }),
  agent,
  limit,
});

const sums = {
  calls: z.int().meta({ description: "Calls to models. By session: its turns." }),
  usage: usageSchema,
  costUsd: z.number().meta({ description: "Of the calls whose price is known." }),
  unpricedCalls: z
    .int()
    .meta({ description: "Calls of unknown cost; when above 0, `costUsd` is a lower bound." }),
  lostCalls: z
    .int()
    .nullable()
    .meta({ description: "Those of them that a crash or a stop cut off. Null by session." }),
};

export const costReportSchema = z
  .strictObject({
    by: z.enum(costGroupings),
    since: z.string().nullable(),
    rows: z.array(z.strictObject({ key: z.string().nullable(), ...sums })),
    total: z.strictObject(sums).meta({ description: "Of all rows, also those that `limit` left out." }),
    omitted: z.int(),
  })
  .meta({ id: "CostReport" });

// These lines fail to compile when a schema and its type part.
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
null as unknown as DeepReadonly<z.infer<typeof interruptSchema>> satisfies DeepReadonly<InterruptRecord>;
null as unknown as DeepReadonly<z.infer<typeof interruptViewSchema>> satisfies DeepReadonly<InterruptView>;
null as unknown as DeepReadonly<z.infer<typeof costReportSchema>> satisfies DeepReadonly<CostReport>;
