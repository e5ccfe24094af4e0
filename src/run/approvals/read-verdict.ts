import { z } from "zod";
import type { CallClassified } from "../../log/entry.ts";
import type { ModelAnswer } from "../../models/model.ts";

/** What a classifier has said; `failed` where it has said nothing that counts. */
export type Verdict = Pick<CallClassified, "decision" | "reason" | "failed">;

const MAX_REASON = 300;

const answer = z.strictObject({
  decision: z.enum(["allow", "ask", "deny"]),
  reason: z.string().trim().min(1),
});

/** Counts only when the whole of it is the one object that was asked for: anything else means that a person is asked. @pure */
export function readVerdict({ blocks, stopReason }: Pick<ModelAnswer, "blocks" | "stopReason">): Verdict {
  if (stopReason === "refused") return unanswered("it refused to answer");
  if (stopReason === "maxTokens") return unanswered("its answer was cut off");
  if (blocks.some(({ type }) => type === "toolCall")) return unanswered("it called a tool instead");
  const text = blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");
  const parsed = answer.safeParse(jsonIn(text));
  if (!parsed.success) return unanswered("its answer was not the JSON that was asked for");
  const { decision, reason } = parsed.data;
  return { decision, reason: reason.replaceAll(/[\s\p{C}]+/gu, " ").slice(0, MAX_REASON) };
}

/** Nobody has decided, so that a person has to. `why` completes "the classifier has not decided: ...". @pure */
export function unanswered(why: string): Verdict {
  return { decision: "ask", reason: `the classifier has not decided: ${why}`, failed: true };
}

/** Some models put JSON between fences however they are asked. Undefined where it is not JSON. */
function jsonIn(text: string): unknown {
  const fenced = /^```(?:json)?\s*\n([\s\S]*?)\n?```$/.exec(text.trim());
  try {
    return JSON.parse(fenced?.[1] ?? text);
  } catch {
    return undefined;
  }
}
