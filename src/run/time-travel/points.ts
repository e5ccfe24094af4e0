import type { AssistantBlock, UserBlock } from "../../log/content.ts";
import type { Entry, InterruptAnswer } from "../../log/entry.ts";
import type { TreePoint } from "./time-travel.ts";

/** What an entry is to somebody who looks for a place to fork at; undefined where nobody would. @pure */
export function pointAt(entry: Entry): TreePoint | undefined {
  const words = wordsFor(entry);
  return words && { entryId: entry.id, seq: entry.seq, at: entry.at, ...words, text: firstLine(words.text) };
}

function wordsFor(entry: Entry): Pick<TreePoint, "kind" | "text"> | undefined {
  switch (entry.type) {
    case "sessionCreated":
      return { kind: "start", text: entry.forkedFrom === undefined ? "created" : "forked" };
    case "headMoved":
      return { kind: "start", text: "moved back" };
    case "userMessage":
      return { kind: "message", text: textIn(entry.blocks) };
    case "assistantMessage":
      return entry.stopReason === "toolCalls" ? undefined : { kind: "answer", text: textIn(entry.blocks) };
    case "interrupted":
      return { kind: "question", text: entry.request.message };
    case "interruptResolved":
      return { kind: "decision", text: decisionWords(entry.answer, entry.actor) };
    case "workspaceSaved": {
      const { added, changed, removed } = entry;
      return { kind: "files", text: `${added} added, ${changed} changed, ${removed} removed` };
    }
    default:
      return undefined;
  }
}

/** The text of a message on one line, cut to what fits into a list. @pure */
export function textIn(blocks: readonly (UserBlock | AssistantBlock)[]): string {
  const texts = blocks.flatMap((block) => (block.type === "text" ? [block.text] : []));
  return firstLine(texts.join("\n")) || `(${blocks[0]?.type ?? "nothing"})`;
}

const MAX_LENGTH = 200;

function firstLine(text: string): string {
  const [line = ""] = text.trimStart().split("\n", 1);
  const characters = Array.from(line.trimEnd().slice(0, 2 * MAX_LENGTH));
  return characters.length <= MAX_LENGTH
    ? characters.join("")
    : `${characters.slice(0, MAX_LENGTH - 1).join("")}…`;
}

function decisionWords({ action }: InterruptAnswer, actor: string | undefined): string {
  return actor === undefined ? action : `${action}, by ${actor}`;
}
