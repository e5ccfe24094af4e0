import { z } from "zod";
import { AppError } from "../lib/errors.ts";
import type { HookAnswer } from "./hook.ts";

const answerSchema = z.strictObject({
  decision: z.enum(["allow", "veto", "end"]).optional(),
  reason: z.string().optional(),
  input: z.unknown().optional(),
  context: z.string().optional(),
});

/**
 * What a hook answered, checked. Nothing at all is an answer, too: everything goes on as it is.
 * @throws AppError `invalid_input` that says what is wrong.
 */
export function parseAnswer(value: unknown): HookAnswer {
  if (value === undefined || value === null) return {};
  const parsed = answerSchema.safeParse(value);
  if (parsed.success) return parsed.data as HookAnswer;
  throw new AppError("invalid_input", `its answer cannot be understood: ${z.prettifyError(parsed.error)}`, {
    hint: 'Answer with JSON such as {"decision": "veto", "reason": "..."}; docs/hooks.md lists the fields.',
  });
}
