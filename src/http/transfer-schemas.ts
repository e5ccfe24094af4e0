import { z } from "zod";
import { sessionIdSchema, sessionSchema } from "./schemas.ts";

/** What is asked and answered where sessions are taken from one store to another. */

export const exportQuerySchema = z.strictObject({
  workspace: z
    .enum(["true", "false"])
    .default("true")
    .meta({ description: "`false`: the log alone, without files." }),
});

export const importQuerySchema = z.strictObject({
  as: z.exactOptional(sessionIdSchema.meta({ description: "Default: the id that the session had." })),
  expect: z.exactOptional(
    z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/, { error: "expected 64 hexadecimal digits" })
      .meta({ description: "The id that the file has to have, as `Holdfast-Export-Id` said." }),
  ),
  tenant: z.exactOptional(z.string().min(1).max(256).meta({ description: "Whose it is to be." })),
});

export const importedSessionSchema = z
  .strictObject({
    session: sessionSchema,
    created: z.boolean().meta({ description: "False: this file was imported under this id before." }),
    id: z.string().meta({ description: "Of the file: the SHA-256 of its manifest." }),
    served: z.boolean().meta({ description: "Whether its agent is served here." }),
  })
  .meta({ id: "ImportedSession" });
