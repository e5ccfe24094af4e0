import { describe, expect, test } from "vitest";
import type { RunEvent } from "../run/session/events.ts";
import { encodeEvent, encodeEvents } from "./encode.ts";
import { wireEventSchema } from "./entry-schemas.ts";
import { toWireError } from "./errors.ts";

const entry: RunEvent = {
  type: "entry",
  entry: {
    type: "runFinished",
    id: "e_2",
    sessionId: "s_1",
    parentId: "e_1",
    seq: 2,
    at: 1_700_000_000_000,
    v: 1,
    runId: "r_1",
    reason: "endTurn",
  },
};

const deltas: readonly RunEvent[] = [
  { type: "textDelta", runId: "r_1", text: 'line\nbreak "quoted" \u2028 \u{1F600} \ud800' },
  { type: "reasoningDelta", runId: "r_1", text: "\r\n" },
  { type: "toolCallStarted", runId: "r_1", callId: "c_1", name: "shell" },
  { type: "toolCallDelta", runId: "r_1", callId: "c_1", text: '{"a' },
  { type: "toolOutput", runId: "r_1", callId: "c_1", stream: "stdout", text: "\u0000" },
  { type: "toolProgress", runId: "r_1", callId: "c_1", message: "half", fraction: 0.5 },
  { type: "notice", code: "waiting", message: "the provider is busy" },
  { type: "retracted", runId: "r_1" },
];

async function collect(source: AsyncIterable<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/** The data of one event, as an EventSource would see it. */
function decode(text: string): unknown {
  const data = /^(?:id: \d+\n)?data: ([^\r\n]*)\n\n$/.exec(text)?.[1];
  expect(data, "one event of one data line").toBeDefined();
  return JSON.parse(data ?? "");
}

describe("encodeEvent", () => {
  test("an entry carries its seq as the cursor", () => {
    const text = encodeEvent(entry);
    expect(text.startsWith("id: 2\n")).toBe(true);
    expect(decode(text)).toEqual(entry);
  });

  test.each(deltas)("$type has no id, survives the wire, and is documented", (event) => {
    const text = encodeEvent(event);
    expect(text.startsWith("data: ")).toBe(true);
    expect(decode(text)).toEqual(event);
    expect(wireEventSchema.parse(event)).toEqual(event);
  });
});

describe("encodeEvents", () => {
  const signal = new AbortController().signal;
  const toError = (error: unknown) => toWireError(error, () => {});

  async function* source(fail: boolean): AsyncGenerator<RunEvent> {
    yield entry;
    if (fail) throw new Error("secret detail");
  }

  test("a run's stream says that it ended; a session's stream never does", async () => {
    const run = await collect(encodeEvents(source(false), { finite: true, signal, toError }));
    expect(decode(run.at(-1) ?? "")).toEqual({ type: "end" });
    const session = await collect(encodeEvents(source(false), { finite: false, signal, toError }));
    expect(session).toHaveLength(1);
  });

  test("a failure is the last event and tells nothing of its cause", async () => {
    const [, last = ""] = await collect(encodeEvents(source(true), { finite: true, signal, toError }));
    expect(decode(last)).toMatchObject({ type: "error", error: { code: "internal" } });
    expect(last).not.toContain("secret");
  });

  test("a stream that is cut does not say that the run ended", async () => {
    const cut = AbortSignal.abort();
    const events = await collect(encodeEvents(source(false), { finite: true, signal: cut, toError }));
    expect(events).toHaveLength(1);
  });

  test("a server that shuts down says so, and not that the run ended", async () => {
    const closing = AbortSignal.abort();
    const events = await collect(
      encodeEvents(source(false), { finite: true, signal: closing, closing, toError }),
    );
    expect(events).toHaveLength(2);
    expect(decode(events.at(-1) ?? "")).toMatchObject({ type: "notice", code: "serverCloses" });
  });
});
