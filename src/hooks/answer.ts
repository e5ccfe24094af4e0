import { z } from "zod";
import { AppError } from "../lib/errors.ts";
import type { HookPoint } from "../log/entry.ts";
import type { HookAnswer } from "./hook.ts";

const answerSchema = z.strictObject({
  decision: z.enum(["allow", "ask", "veto", "end"]).optional(),
  reason: z.string().optional(),
  input: z.unknown().optional(),
  context: z.string().optional(),
});

/**
 * What a hook answered at a point, checked: an answer that could have no effect there would be taken for one that had.
 * Nothing at all is an answer, too: everything goes on as it is.
 * @throws AppError `invalid_input` that says what is wrong.
 */
export function parseAnswer(value: unknown, point: HookPoint): HookAnswer {
  if (value === undefined || value === null) return {};
  const parsed = answerSchema.safeParse(value);
  if (parsed.success) {
    const answer = parsed.data as HookAnswer;
    checkPoint(answer, point);
    return answer;
  }
  throw new AppError("invalid_input", `its answer cannot be understood: ${z.prettifyError(parsed.error)}`, {
    hint: 'Answer with JSON such as {"decision": "veto", "reason": "..."}; docs/hooks.md lists the fields.',
  });
}

function checkPoint({ decision, input }: HookAnswer, point: HookPoint): void {
  if (decision === "veto" && point === "afterTool") {
    throw new AppError("invalid_input", "afterTool cannot veto: the call has been run", {
      hint: 'Tell the model with "context", end the run with "end", or be asked at beforeTool.',
    });
  }
  if (decision === "ask" && point !== "beforeTool") {
    throw new AppError("invalid_input", `${point} cannot ask a person: only beforeTool can`, {
      hint: 'Tell the model with "context", or end the run with "end".',
    });
  }
  if (decision === "ask" && input !== undefined) {
    throw new AppError("invalid_input", "a hook either asks a person or changes the arguments", {
      hint: 'Leave "input" or "decision" out.',
    });
  }
  if (input !== undefined && point !== "beforeTool") {
    throw new AppError("invalid_input", `${point} cannot change arguments: only beforeTool can`, {
      hint: 'Leave "input" out.',
    });
  }
}
