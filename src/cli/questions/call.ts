import { systemClock } from "../../lib/clock.ts";
import type { ApprovalRequest, InterruptAnswer } from "../../log/entry.ts";
import { actionsFor } from "../../run/session/interrupts.ts";
import { jsonText } from "../printable.ts";
import { alwaysRules } from "../render/always-rules.ts";
import { plain } from "../render/plain.ts";
import { questionBlock } from "../render/question.ts";
import { viewOptions } from "../render/view-options.ts";
import type { Dialogue } from "./dialogue.ts";
import { editArguments } from "./edit.ts";

/** A key, what it does, and the answer that it makes; null: nothing was decided after all. */
interface Choice {
  readonly key: string;
  readonly words: string;
  answer(): Promise<InterruptAnswer | null>;
}

/** Whether a call may start. Null when it is left open. */
export async function askAboutCall(
  request: ApprovalRequest,
  dialogue: Dialogue,
): Promise<InterruptAnswer | null> {
  const choices = choicesFor(request, dialogue);
  const keys = choices.map(({ key, words }) => `[${key}] ${words}`);
  const prompt = `${[...keys, "[enter] later", "[?] all of it"].join("  ")}: `;
  for (;;) {
    const line = (await dialogue.ask(prompt))?.trim();
    if (line === undefined || line === "") return null;
    if (line === "?") {
      dialogue.say(inFull(request, dialogue));
      continue;
    }
    const chosen = choices.find(({ key }) => key === line);
    const answer = chosen === undefined ? null : await chosen.answer();
    if (answer !== null) return answer;
    if (chosen === undefined) dialogue.say(`Type ${choices.map(({ key }) => key).join(", ")} or ?.`);
  }
}

function choicesFor(request: ApprovalRequest, dialogue: Dialogue): readonly Choice[] {
  const possible = new Set(actionsFor(request));
  const approve = (key: string, words: string, always?: "session" | "agent"): Choice => ({
    key,
    words,
    answer: async () => ({ action: "approve", ...(always === undefined ? {} : { always }) }),
  });
  return [
    approve("y", "once"),
    ...(alwaysRules(request).length === 0
      ? []
      : [approve("a", "always in this session", "session"), approve("A", "always for this agent", "agent")]),
    ...(possible.has("edit") ? [{ key: "e", words: "edit", answer: () => edited(request, dialogue) }] : []),
    { key: "r", words: "reject", answer: () => rejected(dialogue) },
    ...(possible.has("respond")
      ? [{ key: "s", words: "say the result yourself", answer: () => responded(dialogue) }]
      : []),
  ];
}

async function edited({ call }: ApprovalRequest, dialogue: Dialogue): Promise<InterruptAnswer | null> {
  const input = await editArguments(call.input, dialogue);
  return input === null ? null : { action: "edit", input: input.value };
}

async function rejected({ ask }: Dialogue): Promise<InterruptAnswer | null> {
  const feedback = await ask("What is the agent to know or do instead (or nothing): ");
  if (feedback === null) return null;
  return feedback.trim() === "" ? { action: "reject" } : { action: "reject", feedback: feedback.trim() };
}

async function responded({ ask }: Dialogue): Promise<InterruptAnswer | null> {
  const value = await ask("The result, as the agent is to see it: ");
  return value === null || value.trim() === "" ? null : { action: "respond", value: value.trim() };
}

/** All arguments and the whole preview. */
function inFull(request: ApprovalRequest, { terminal }: Dialogue): string {
  const options = { ...viewOptions(terminal), now: systemClock.now(), previewLines: Infinity };
  const shown = questionBlock(request, options).trimEnd();
  return `${shown}\n${plain(jsonText(request.call.input, 2))}`;
}
