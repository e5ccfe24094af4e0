import type { NewEntry } from "./entry.ts";
import type { SessionState } from "./state.ts";

/**
 * Why a fact would break the transcript (`transcript.ts`); null when it would not. A writer that is about to append such a
 * fact has a defect, and a log that never gets it can go on. @pure
 */
export function violationOf(fact: NewEntry, state: SessionState): string | null {
  switch (fact.type) {
    case "assistantMessage":
    case "answerPart": {
      const ids = fact.blocks.flatMap((block) => (block.type === "toolCall" ? [block.callId] : []));
      const under = new Set(state.openCalls.map(({ callId }) => callId));
      const taken = ids.find(
        (id, index) => ids.indexOf(id) !== index || (state.callIds.has(id) && !under.has(id)),
      );
      return taken === undefined ? null : `the call id ${taken} is used twice`;
    }
    case "toolStarted":
    case "toolFinished": {
      const call = state.openCalls.find(({ callId }) => callId === fact.callId);
      if (call === undefined) return `there is no open call ${fact.callId}`;
      if (call.result !== null) return `the call ${fact.callId} has its result already`;
      return fact.type === "toolFinished" && fact.blocks.length === 0
        ? `the result of ${fact.callId} is empty`
        : null;
    }
    default:
      return null;
  }
}
