import type { AssistantBlock, Message, ToolCallBlock, ToolResultMessage } from "./content.ts";

/**
 * The rules that every provider insists on, in one place: a transcript that breaks one of them is refused with every later
 * request, so that its session could never go on.
 *
 * 1. No message is empty.
 * 2. Each call has its own id.
 * 3. Behind an answer with calls stand the results, exactly one for each call, and nothing between them.
 * 4. There is no result without a call.
 */
export interface TranscriptProblem {
  /** Index of the message, from 0. */
  readonly message: number;
  /** For people. */
  readonly problem: string;
}

/** @param open whether the calls of the last answer may still be without results. @pure */
export function problemsIn(
  messages: readonly Message[],
  open: { readonly callsAtEnd: boolean },
): readonly TranscriptProblem[] {
  return mend(messages, open).problems;
}

/** The transcript as it should be, and what was wrong with it. The same messages where nothing was. @pure */
export function repaired(messages: readonly Message[]): {
  readonly messages: readonly Message[];
  readonly problems: readonly TranscriptProblem[];
} {
  return mend(messages, { callsAtEnd: false });
}

const LOST = "The result of this call was lost. It may have happened completely, partly or not at all.";

function mend(messages: readonly Message[], open: { readonly callsAtEnd: boolean }) {
  const mended: Message[] = [];
  const problems: TranscriptProblem[] = [];
  const ids = new Set<string>();

  messages.forEach((message, index) => {
    const report = (problem: string) => problems.push({ message: index, problem });
    switch (message.role) {
      case "user":
        if (isEmpty(message.blocks)) report("a message of the user is empty");
        else mended.push(message);
        return;
      case "tool":
        // Taken together with the answer before it.
        if (callsOf(messages[index - 1]).length === 0) report("results stand behind no call");
        return;
      case "assistant":
        if (isEmpty(message.blocks)) report("an answer is empty");
        else mendAnswer(message, index, report);
    }
  });
  return { messages: problems.length === 0 ? messages : mended, problems };

  function mendAnswer(
    answer: Extract<Message, { role: "assistant" }>,
    index: number,
    report: (problem: string) => void,
  ): void {
    const next = messages[index + 1];
    const results = next?.role === "tool" ? next.results : [];
    const used = new Set<ToolResultMessage>();
    const answered: ToolResultMessage[] = [];
    const blocks = answer.blocks.map((block): AssistantBlock => {
      if (block.type !== "toolCall") return block;
      const callId = freeId(block.callId, report);
      const result = results.find((each) => each.callId === block.callId && !used.has(each));
      if (result !== undefined) used.add(result);
      else if (!(open.callsAtEnd && index === messages.length - 1))
        report(`the call ${block.callId} has no result`);
      answered.push(filled({ ...(result ?? lostResult(block)), callId }, report));
      return callId === block.callId ? block : { ...block, callId };
    });
    for (const { callId } of results.filter((each) => !used.has(each))) {
      report(`the result of ${callId} belongs to no call of the answer before it`);
    }
    mended.push({ ...answer, blocks });
    if (answered.length > 0) mended.push({ role: "tool", results: answered });
  }

  function freeId(callId: string, report: (problem: string) => void): string {
    let id = callId;
    if (ids.has(callId)) {
      report(`the id ${callId} is used by more than one call`);
      for (let n = 2; ids.has(id); n++) id = `${callId.slice(0, 56)}_${n}`;
    }
    ids.add(id);
    return id;
  }
}

function callsOf(message: Message | undefined): readonly ToolCallBlock[] {
  return message?.role === "assistant" ? message.blocks.filter((block) => block.type === "toolCall") : [];
}

function isEmpty(blocks: readonly { readonly type: string; readonly text?: string }[]): boolean {
  return blocks.every(({ type, text }) => type === "text" && text?.trim() === "");
}

function lostResult({ callId, name }: ToolCallBlock): ToolResultMessage {
  return { callId, name, blocks: [{ type: "text", text: LOST }], isError: true };
}

function filled(result: ToolResultMessage, report: (problem: string) => void): ToolResultMessage {
  if (!isEmpty(result.blocks)) return result;
  report(`the result of ${result.callId} is empty`);
  return { ...result, blocks: [{ type: "text", text: "(nothing)" }] };
}
