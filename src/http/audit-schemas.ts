import { z } from "zod";
import type { PermissionAudit } from "../run/session/audit.ts";
import { LAYERS, personsActions } from "../run/session/decided-calls.ts";
import { riskSchema } from "./interrupt-schemas.ts";

/** Who or what has decided whether calls may start. */

export const auditQuerySchema = z.strictObject({
  agent: z.exactOptional(z.string().min(1).max(64)),
  session: z.exactOptional(z.string().min(1).max(256)),
  since: z.exactOptional(z.coerce.number().int().min(0)).meta({
    description: "Decisions from then on: milliseconds since 1970. Default: all.",
  }),
  limit: z.coerce.number().int().min(1).max(1000).default(100).meta({
    description: "How many calls are listed, the latest ones; the summary is of all.",
  }),
});

const layer = z.enum(LAYERS);
const verdict = z.enum(["allow", "ask", "deny"]);
const count = z.int();
const milliseconds = z.number().nullable();

const decidedCall = z
  .strictObject({
    sessionId: z.string(),
    agent: z.string(),
    runId: z.string(),
    callId: z.string(),
    tool: z.string(),
    at: z.int(),
    risk: riskSchema
      .nullable()
      .meta({ description: "Null where nobody was asked and the tool is not known any more." }),
    outcome: z.enum(["started", "refused", "answered"]),
    layer: layer.meta({ description: "What had the last word." }),
    by: z.string(),
    classifier: z
      .strictObject({ decision: verdict, reason: z.string(), failed: z.exactOptional(z.literal(true)) })
      .nullable(),
    person: z
      .strictObject({
        action: z.enum(personsActions),
        actor: z.string().nullable(),
        channel: z.string().nullable(),
        waitedMs: z.number(),
      })
      .nullable(),
  })
  .meta({ id: "DecidedCall", description: "A call, and everybody who had a say in whether it may start." });

export const auditSchema = z
  .strictObject({
    since: z.int().nullable(),
    summary: z.strictObject({
      sessions: count,
      calls: count,
      layers: z.array(z.strictObject({ layer, started: count, refused: count, answered: count })),
      classifier: z.strictObject({
        asked: count,
        reused: count,
        failed: count,
        costUsd: z.number(),
        agreement: z
          .array(
            z.strictObject({
              classifier: verdict,
              people: z.strictObject({
                approve: count,
                edit: count,
                reject: count,
                respond: count,
                expired: count,
              }),
            }),
          )
          .meta({ description: "Of the calls that both a classifier and a person have decided about." }),
      }),
      people: z.strictObject({
        answered: count,
        expired: count,
        medianMs: milliseconds,
        p95Ms: milliseconds,
      }),
      rules: z.array(z.strictObject({ rule: z.string(), calls: count })),
      unusedRules: z
        .array(z.strictObject({ agent: z.string(), rule: z.string() }))
        .meta({ description: "Of the agents that this server serves." }),
    }),
    calls: z.array(decidedCall).meta({ description: "The latest first." }),
    omitted: count,
  })
  .meta({ id: "PermissionAudit" }) satisfies z.ZodType<PermissionAudit>;
