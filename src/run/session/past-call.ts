import { resolveCall } from "../../context/find-tools.ts";
import { isRecord } from "../../lib/json.ts";
import type { Entry, Permission, PermissionLayer } from "../../log/entry.ts";

/** A call that was made, and everything that the log says of it. */
export interface PastCall {
  readonly callId: string;
  readonly tool: string;
  /** Those that count: a hook's, or a person's, where they changed the model's. */
  readonly input: unknown;
  /** Set where the arguments were changed: what the model wanted. */
  readonly asked?: unknown;
  /** Who sent the messages that its run answers, as far as they said so. */
  readonly actors: readonly string[];
  /** What was decided and done about it, in order. */
  readonly events: readonly CallEvent[];
}

export type CallEvent = Extract<
  Entry,
  {
    readonly type:
      | "hookDecided"
      | "callClassified"
      | "interrupted"
      | "interruptVoted"
      | "interruptResolved"
      | "toolStarted"
      | "toolFinished";
  }
>;

/** Null where no answer of the model has such a call. @pure */
export function pastCall(callId: string, entries: readonly Entry[]): PastCall | null {
  const call = callsOf(entries).find((each) => each.callId === callId);
  if (call === undefined) return null;
  const events = eventsOf(callId, entries);
  const about = { callId, tool: call.tool, actors: actorsAt(callId, entries), events };
  const amended = events.findLast(
    (event) =>
      (event.type === "hookDecided" && event.decision === "change") ||
      (event.type === "interruptResolved" && event.answer.action === "edit"),
  );
  if (amended?.type === "hookDecided") return { ...about, input: amended.input, asked: call.input };
  if (amended?.type === "interruptResolved" && amended.answer.action === "edit") {
    return { ...about, input: amended.answer.input, asked: call.input };
  }
  return { ...about, input: call.input };
}

function eventsOf(callId: string, entries: readonly Entry[]): readonly CallEvent[] {
  const questions = new Set<string>();
  return entries.flatMap((entry): readonly CallEvent[] => {
    switch (entry.type) {
      case "hookDecided":
        return entry.point === "beforeTool" && entry.subject === callId ? [entry] : [];
      case "interrupted":
        if (!("call" in entry.request) || entry.request.call.callId !== callId) return [];
        questions.add(entry.interruptId);
        return [entry];
      case "interruptVoted":
      case "interruptResolved":
        return questions.has(entry.interruptId) ? [entry] : [];
      case "callClassified":
      case "toolStarted":
      case "toolFinished":
        return entry.callId === callId ? [entry] : [];
      default:
        return [];
    }
  });
}

/** Who asked for what the run of the call does. */
function actorsAt(callId: string, entries: readonly Entry[]): readonly string[] {
  const until = entries.findIndex((entry) => callsOf([entry]).some((call) => call.callId === callId));
  const before = entries.slice(0, until);
  const from = before.findLastIndex(({ type }) => type === "runFinished" || type === "runFailed");
  const actors = before
    .slice(from + 1)
    .flatMap((entry) => (entry.type === "userMessage" && entry.actor !== undefined ? [entry.actor] : []));
  return [...new Set(actors)];
}

/** The calls of a log, oldest first, for whoever has to choose one. @pure */
export function callsOf(
  entries: readonly Entry[],
): readonly { readonly callId: string; readonly tool: string; readonly input: unknown }[] {
  const calls = new Map<
    string,
    { readonly callId: string; readonly tool: string; readonly input: unknown }
  >();
  for (const entry of entries) {
    if (entry.type !== "assistantMessage" && entry.type !== "answerPart") continue;
    for (const block of entry.blocks) {
      if (block.type !== "toolCall" || calls.has(block.callId)) continue;
      const { name: tool, input } = resolveCall(block);
      calls.set(block.callId, { callId: block.callId, tool, input });
    }
  }
  return [...calls.values()];
}

/** What decided about a call that was not started, where the entry says it. */
export function permissionIn(details: Readonly<Record<string, unknown>> | undefined): Permission | null {
  const found = details?.permission;
  if (!isRecord(found) || typeof found.by !== "string") return null;
  const layer = LAYERS.find((known) => known === found.layer);
  return layer === undefined ? null : { layer, by: found.by };
}

const LAYERS: readonly PermissionLayer[] = ["validation", "mode", "rules", "classifier", "hook", "person"];
