import type { BudgetRequest, InterruptAnswer } from "../../log/entry.ts";
import { enoughFor } from "../../run/turn/budget.ts";
import { dollars } from "../render/figures.ts";
import type { Dialogue } from "./dialogue.ts";

export async function askAboutBudget(
  { budget }: BudgetRequest,
  { ask, say }: Dialogue,
): Promise<InterruptAnswer | null> {
  for (;;) {
    const line = await ask("New limit in dollars, or nothing to end the run: ");
    if (line === null) return null;
    const answer = answerOf(line);
    if (answer !== null && (answer.action === "end" || answer.limitUsd > budget.limitUsd)) return answer;
    say(`That is not an amount above ${dollars(budget.limitUsd)}. Write it like ${enoughFor(budget)}.`);
  }
}

function answerOf(line: string): Extract<InterruptAnswer, { action: "raise" | "end" }> | null {
  const text = line.trim().replace(/^\$/, "");
  if (text === "") return { action: "end" };
  const limitUsd = Number(text);
  return /^\d+(?:\.\d+)?$/.test(text) && limitUsd > 0 ? { action: "raise", limitUsd } : null;
}
