import { newId } from "../../lib/ids.ts";
import type { AssistantBlock } from "../../log/content.ts";
import type { SessionState } from "../../log/state.ts";

/**
 * The ids of the calls of one answer. Results are bound to calls by id for the whole session, but some providers number the
 * calls of each answer from zero, and some give several calls one id. So a call gets its id when it is first heard of, and
 * deltas, parts and the whole answer agree on it.
 */
export interface CallIds {
  /** A call begins. */
  begin(providerId: string): string;
  /** The last call that began under this id. */
  current(providerId: string): string;
  /** An answer or a part of it from its start on, with the calls' own ids. */
  translate(blocks: readonly AssistantBlock[]): readonly AssistantBlock[];
}

const USABLE = /^[a-zA-Z0-9_-]{1,64}$/;
/** Shorter ones come again and again. */
const MIN_LENGTH = 12;

/** `state` may go on while the answer is written. */
export function createCallIds(state: Pick<SessionState, "callIds" | "knowsAllCallIds">): CallIds {
  /** By the provider's id, in the order in which the calls began. */
  const given = new Map<string, string[]>();
  const seen = new Set<string>();

  /** One that was used before a compaction would be the id of another operation, which has its result already. */
  function isFree(id: string): boolean {
    const isKnownToBeNew = state.knowsAllCallIds && !state.callIds.has(id) && !seen.has(id);
    return isKnownToBeNew && id.length >= MIN_LENGTH && USABLE.test(id);
  }

  function begin(providerId: string): string {
    const callId = isFree(providerId) ? providerId : newId("call");
    seen.add(callId);
    const known = given.get(providerId);
    if (known === undefined) given.set(providerId, [callId]);
    else known.push(callId);
    return callId;
  }

  return {
    begin,
    current: (providerId) => given.get(providerId)?.at(-1) ?? begin(providerId),
    translate(blocks) {
      const counts = new Map<string, number>();
      return blocks.map((block) => {
        if (block.type !== "toolCall") return block;
        const { callId: providerId } = block;
        const nth = counts.get(providerId) ?? 0;
        counts.set(providerId, nth + 1);
        const callId = given.get(providerId)?.[nth] ?? begin(providerId);
        return callId === providerId ? block : { ...block, callId };
      });
    },
  };
}
