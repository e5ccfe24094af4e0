import { createHash } from "node:crypto";
import type { InterruptAnswer } from "../../src/index.ts";
import type { Script } from "../../src/testing/testing.ts";

/** One kind of effect for each tool that asks before it starts. */
export const kinds = ["idempotent", "keyed", "reconcile", "once"] as const;

/** What arguments that a person has written are above those of the model. */
const EDITED = 1_000;

export function editedFrom(amount: number): number {
  return amount + EDITED;
}

const asking = (tool: (typeof kinds)[number], amount: number) => ({ tool, input: { amount } });

/**
 * Calls that ask alone, behind one that does not, and several of one answer, which depend on each other. Each call of a session
 * has its own amount.
 */
export const script: Script = {
  turns: [
    { calls: [{ tool: "readonly", input: { amount: 0 } }, asking("once", 1), asking("keyed", 2)] },
    { calls: [asking("reconcile", 3)] },
    { calls: [asking("once", 4), { tool: "readonly", input: { amount: 5 } }, asking("idempotent", 6)] },
    { text: "All done." },
  ],
};

export const ANSWERS = 4;

/** What becomes of the question about a call: the same whoever is asked, and however often. Null: nobody answers it. */
export function answerFor(sessionId: string, amount: number, plan: Plan): InterruptAnswer | null {
  const draw = (createHash("sha256").update(`${sessionId} ${amount}`).digest()[0] ?? 0) / 256;
  if (plan === "approve" || draw < 0.5) return { action: "approve" };
  if (draw < 0.68) return { action: "edit", input: { amount: editedFrom(amount) } };
  if (draw < 0.8) return { action: "reject", feedback: "no" };
  if (draw < 0.88) return { action: "respond", value: "done by hand" };
  return plan === "all" ? null : { action: "reject" };
}

/**
 * What people do. `approve`: they approve. `some`: they approve, edit, reject and respond. `all`: and leave some questions to time.
 */
export type Plan = "approve" | "some" | "all";
