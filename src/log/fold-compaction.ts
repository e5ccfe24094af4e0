import type { Message } from "./content.ts";
import type { Compacted, Entry, ResultsCleared } from "./entry.ts";
import { isToolCall, spend } from "./fold-answers.ts";
import { updateRun } from "./fold-messages.ts";
import { clearedText } from "./notes.ts";
import {
  BLANK_RUN,
  type CarriedState,
  type CompactionTier,
  type Draft,
  hookKey,
  type Input,
} from "./state.ts";

/** How the transcript becomes shorter. Steps of `fold.ts`. */

export function applyResultsCleared(
  state: Draft,
  { results, tokensBefore, tokensAfter }: ResultsCleared,
): void {
  const files = new Map(results.map(({ callId, file }) => [callId, file]));
  const before = state.messages;
  state.messages = before.map((message) => {
    if (message.role !== "tool" || !message.results.some(({ callId }) => files.has(callId))) return message;
    return {
      role: "tool",
      results: message.results.map((result) => {
        const file = files.get(result.callId);
        if (file === undefined) return result;
        return { ...result, blocks: [{ type: "text", text: clearedText(result.name, file) }] };
      }),
    };
  });
  const same = before.findIndex((message, index) => message !== state.messages[index]);
  if (same >= 0) cutSent(state, same);
  noteCompaction(state, "results");
  if (state.measured !== null) {
    const tokens = Math.max(0, state.measured.tokens - (tokensBefore - tokensAfter));
    state.measured = { ...state.measured, tokens };
  }
  state.compactedSince = true;
  state.compactionFailedAt = null;
}

export function applyCompacted(state: Draft, entry: Entry & Compacted): void {
  const { messages, tokensAfter, tier } = entry;
  const carried = entry.carried as CarriedState;
  const { hooks, sessionHooks, toolUses, ...rest } = carried;
  Object.assign(state, rest);
  // An earlier release knew nothing of the files: calls can have changed them.
  state.workspace = carried.workspace ?? { snapshot: null, changedAt: entry.seq };
  // An earlier release may have known less of a run.
  if (carried.run !== null) state.run = { ...BLANK_RUN, ...carried.run };
  state.hooks = new Map(hooks.map((decided) => [hookKey(decided), decided]));
  state.sessionHooks = new Set(sessionHooks);
  state.toolUses = new Map(toolUses);
  state.said = carried.said ?? [];
  state.classified = new Map();
  cutSent(state, 0);
  state.deferred = [...carried.deferred];
  state.messages = [...messages];
  state.inputs = inTranscript(carried.inputs, messages);
  state.openCalls = [];
  // Folding may begin here, so nothing from before may show: the context is opened anew.
  state.context = null;
  state.toldDay = null;
  state.callIds = new Set(messages.flatMap(callIdsOf));
  state.knowsAllCallIds = false;
  state.measured = { tokens: tokensAfter, messages: messages.length };
  state.compactedSince = true;
  state.compactionFailedAt = null;
  spend(state, entry);
  noteCompaction(state, tier);
}

/** Inputs are known by their blocks, which an entry that was stored and read has twice. They are the newest messages. */
function inTranscript(inputs: readonly Input[], messages: readonly Message[]): Input[] {
  const shown = messages.flatMap((message) => (message.role === "user" ? [message.blocks] : []));
  const found = inputs.toReversed().map((input) => {
    const text = JSON.stringify(input.blocks);
    const index = shown.findLastIndex((blocks) => JSON.stringify(blocks) === text);
    const [blocks = input.blocks] = index === -1 ? [] : shown.splice(index, 1);
    return { ...input, blocks };
  });
  return found.reverse();
}

/** Only the first `same` messages are still what the last request held. */
function cutSent(state: Draft, same: number): void {
  const { sent } = state;
  if (sent === null || same >= sent.messages) return;
  state.sent = { ...sent, messages: same, before: Math.min(sent.before, same), cut: true };
}

function callIdsOf(message: Message): readonly string[] {
  return message.role === "assistant" ? message.blocks.filter(isToolCall).map(({ callId }) => callId) : [];
}

/** What the provider said about the length of the old transcript does not hold for the new one. */
function noteCompaction(state: Draft, tier: CompactionTier): void {
  updateRun(state, (run) => ({
    ...run,
    calling: false,
    resumes: 0,
    compactions: [...run.compactions, tier],
    failures: run.failures.filter(({ failure }) => failure.kind !== "contextOverflow"),
  }));
}
