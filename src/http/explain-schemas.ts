import { z } from "zod";
import type { CallExplanation } from "../run/session/explain-call.ts";
import { entrySchema } from "./entry-schemas.ts";
import { permissionModeSchema, permissionSchema, riskSchema } from "./interrupt-schemas.ts";

/** Why a call may start, or may not. */

const decided = {
  permission: permissionSchema,
  reason: z.string().meta({ description: "For people." }),
};

const decision = z
  .union([
    z.strictObject({
      type: z.enum(["allow", "deny", "ask", "classify"]),
      ...decided,
      risk: riskSchema,
      isBreakpoint: z.exactOptional(z.literal(true)),
    }),
    z.strictObject({ type: z.literal("invalid"), ...decided }),
  ])
  .meta({ description: "What mode and rules come to now." });

const layer = z.strictObject({
  layer: z.enum(["validation", "mode", "rules", "classifier", "hook", "person"]),
  by: z.string(),
  says: z.enum(["allow", "deny", "ask", "classify", "nothing", "pass", "change", "wouldBeAsked"]),
  reason: z.string(),
});

const past = z.strictObject({
  callId: z.string(),
  tool: z.string(),
  input: z.unknown().meta({ description: "Those that count, where a hook or a person changed them." }),
  asked: z
    .exactOptional(z.unknown())
    .meta({ description: "What the model wanted, where that is not the same." }),
  actors: z.array(z.string()),
  events: z.array(entrySchema).meta({ description: "What was decided and done about it, in order." }),
});

export const explanationSchema = z
  .strictObject({
    tool: z.string(),
    input: z.unknown(),
    mode: permissionModeSchema,
    decision,
    layers: z.array(layer).meta({ description: "In the order in which they are asked." }),
    parts: z
      .array(z.strictObject({ text: z.string(), allowedBy: z.string().nullable() }))
      .meta({ description: "The commands and redirections of a shell line; else the call itself." }),
    past: past.nullable(),
    changed: z
      .string()
      .nullable()
      .meta({ description: "How today's decision differs from the one of then." }),
  })
  .meta({ id: "CallExplanation" });

// This line fails to compile when the schema and its type part.
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
null as unknown as DeepReadonly<CallExplanation> satisfies DeepReadonly<z.infer<typeof explanationSchema>>;
