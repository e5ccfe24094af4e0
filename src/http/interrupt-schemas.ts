import { z } from "zod";

/** A question to a person, and what can be answered, as they are in the log. */

export const interruptRequestSchema = z
  .strictObject({
    kind: z.literal("budget"),
    message: z.string().meta({ description: "What happened, and what can be done." }),
    budget: z.strictObject({
      scope: z.enum(["run", "session", "agent", "tenant"]),
      key: z.string(),
      limitUsd: z.number(),
      spentUsd: z.number(),
      neededUsd: z.number(),
    }),
  })
  .meta({ id: "InterruptRequest" });

export const interruptAnswerSchema = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("raise"), limitUsd: z.number() }),
  z.strictObject({ action: z.literal("end") }),
]);
