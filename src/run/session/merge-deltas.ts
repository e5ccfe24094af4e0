import type { Delta } from "./events.ts";

type Publish = (sessionId: string, delta: Delta, after: number) => void;

/**
 * Joins deltas that continue each other and arrive in one go, as those of one network packet do: readers get the same text
 * in fewer pieces, and none of it later than the packet was read.
 */
export function mergeDeltas(publish: Publish): Publish {
  let waiting: { readonly sessionId: string; delta: Delta; readonly after: number }[] = [];

  function flush(): void {
    const ready = waiting;
    waiting = [];
    for (const { sessionId, delta, after } of ready) publish(sessionId, delta, after);
  }

  return (sessionId, delta, after) => {
    // Runs when the promises that are settled now have had their turn: until then everything is of one packet.
    if (waiting.length === 0) process.nextTick(flush);
    const last = waiting.at(-1);
    const merged =
      last?.sessionId === sessionId && last.after === after ? join(last.delta, delta) : undefined;
    if (last !== undefined && merged !== undefined) last.delta = merged;
    else waiting.push({ sessionId, delta, after });
  };
}

/** Both as one, or undefined when the second does not continue the first. */
function join(first: Delta, second: Delta): Delta | undefined {
  switch (second.type) {
    case "textDelta":
    case "reasoningDelta":
      return first.type === second.type && first.runId === second.runId
        ? { ...second, text: first.text + second.text }
        : undefined;
    case "toolCallDelta":
      return first.type === "toolCallDelta" && first.callId === second.callId
        ? { ...second, text: first.text + second.text }
        : undefined;
    case "toolOutput":
      return first.type === "toolOutput" && first.callId === second.callId && first.stream === second.stream
        ? { ...second, text: first.text + second.text }
        : undefined;
    case "toolCallStarted":
    case "toolProgress":
    case "notice":
    case "retracted":
      return undefined;
  }
}
