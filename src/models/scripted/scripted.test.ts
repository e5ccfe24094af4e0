import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Message } from "../../log/content.ts";
import { CLASSIFICATION_REQUEST, noteText, SUMMARY_REQUEST } from "../../log/notes.ts";
import { createFakeClock } from "../../testing/fake-clock.ts";
import type { Model, ModelAnswer, ModelEvent, ModelRequest } from "../model.ts";
import { loadScript, parseScript, type Script } from "./script.ts";
import { createScriptedModel } from "./scripted.ts";

const never = new AbortController().signal;

function request(messages: readonly Message[], sessionId = "s1"): ModelRequest {
  return { system: "You are a test.", tools: [], messages, sessionId };
}

function user(text: string): Message {
  return { role: "user", blocks: [{ type: "text", text }] };
}

function result(name: string, text: string, isError = false): Message {
  return { role: "tool", results: [{ callId: "c", name, blocks: [{ type: "text", text }], isError }] };
}

async function events(model: Model, asked: ModelRequest, signal = never): Promise<ModelEvent[]> {
  const all: ModelEvent[] = [];
  for await (const event of model.stream(asked, signal)) all.push(event);
  return all;
}

function finishedAnswer(all: readonly ModelEvent[]): ModelAnswer {
  const last = all.at(-1);
  if (last?.type !== "finished") throw new Error(JSON.stringify(last));
  return last.answer;
}

async function answer(model: Model, messages: readonly Message[], sessionId?: string): Promise<ModelAnswer> {
  return finishedAnswer(await events(model, request(messages, sessionId)));
}

function assistant({ blocks, sidecar }: ModelAnswer): Message {
  return { role: "assistant", blocks, model: "scripted", ...(sidecar === undefined ? {} : { sidecar }) };
}

function textOf({ blocks }: ModelAnswer): string {
  return blocks.map((block) => (block.type === "toolCall" ? `<${block.name}>` : block.text)).join("");
}

describe("which turn answers", () => {
  const sequence: Script = { turns: [{ text: "one" }, { text: "two", times: 2 }, { text: "three" }] };

  test("without conditions: one after another, also on a new instance", async () => {
    const history: Message[] = [user("go")];
    const said: string[] = [];
    for (let i = 0; i < 4; i++) {
      const given = await answer(createScriptedModel(sequence), history);
      said.push(textOf(given));
      history.push(assistant(given), user("next"));
    }
    expect(said).toEqual(["one", "two", "two", "three"]);
  });

  test("sessions do not disturb each other", async () => {
    const model = createScriptedModel(sequence);
    const first = await answer(model, [user("a")], "s1");
    expect(textOf(await answer(model, [user("a")], "s2"))).toBe("one");
    expect(textOf(await answer(model, [user("a"), assistant(first), user("b")], "s1"))).toBe("two");
  });

  test.each<{ name: string; script: Script; messages: Message[]; expected: string }>([
    {
      name: "the last message of the user contains, in any case",
      script: { turns: [{ when: { user: "HELLO" }, text: "hi" }, { text: "?" }] },
      messages: [user("well, hello there")],
      expected: "hi",
    },
    {
      name: "a regular expression",
      script: { turns: [{ when: { user: { matches: "^\\d+$" } }, text: "number" }, { text: "?" }] },
      messages: [user("42")],
      expected: "number",
    },
    {
      name: "the last result of a tool",
      script: { turns: [{ when: { result: { tool: "shell", text: "done" } }, text: "ok" }, { text: "?" }] },
      messages: [user("x"), result("shell", "done"), result("read", "other")],
      expected: "ok",
    },
    {
      name: "an error result of any tool",
      script: { turns: [{ when: { result: { isError: true } }, text: "oh" }, { text: "?" }] },
      messages: [user("x"), result("shell", "boom", true)],
      expected: "oh",
    },
    {
      name: "no result yet",
      script: { turns: [{ when: { result: { tool: "shell" } }, text: "ok" }, { text: "?" }] },
      messages: [user("x"), result("read", "done")],
      expected: "?",
    },
    {
      name: "what it follows",
      script: {
        turns: [
          { when: { after: "tool" }, text: "tool" },
          { when: { after: "user" }, text: "user" },
        ],
      },
      messages: [result("shell", "x"), user("x")],
      expected: "user",
    },
    {
      name: "the number since the last message of the user",
      script: {
        turns: [
          { when: { step: 2 }, text: "second" },
          { when: { step: 1 }, text: "first" },
        ],
      },
      messages: [user("x"), { role: "assistant", blocks: [], model: "other/m" }, result("shell", "x")],
      expected: "second",
    },
    {
      name: "the last message of a person, whatever notes stand around it",
      script: {
        turns: [{ when: { user: { matches: "^go$" }, after: "user" }, text: "{{user}}!" }, { text: "?" }],
      },
      messages: [
        {
          role: "user",
          blocks: [
            { type: "text", text: noteText("hook day", "Friday.") },
            { type: "text", text: "go" },
          ],
        },
        user(noteText("environment", "A new day.")),
      ],
      expected: "go!",
    },
    {
      name: "results, also where a note stands behind them",
      script: { turns: [{ when: { after: "tool", step: 2 }, text: "yes" }, { text: "?" }] },
      messages: [
        user("x"),
        { role: "assistant", blocks: [], model: "other/m" },
        result("shell", "x"),
        user(noteText("hook lint", "Untidy.")),
      ],
      expected: "yes",
    },
    {
      name: "a note, where there is nothing else",
      script: { turns: [{ when: { user: "bees", after: "user" }, text: "yes" }, { text: "?" }] },
      messages: [user(noteText("context", "A summary about bees."))],
      expected: "yes",
    },
    {
      name: "a request for a summary",
      script: {
        turns: [
          { when: { user: "hello" }, text: "hi" },
          { when: { summary: true }, text: "the summary" },
        ],
      },
      messages: [user("hello"), user(noteText("context", `Too long. ${SUMMARY_REQUEST}.`))],
      expected: "the summary",
    },
    {
      name: "no request for a summary",
      script: { turns: [{ when: { summary: true }, text: "the summary" }, { text: "?" }] },
      messages: [user(SUMMARY_REQUEST)],
      expected: "?",
    },
    {
      name: "the question whether a call may start",
      script: {
        turns: [
          { text: "hi" },
          { when: { classification: true, user: "rm -rf" }, text: "no" },
          { when: { classification: true }, text: "yes" },
        ],
      },
      messages: [user(noteText("permissions", `${CLASSIFICATION_REQUEST}: {"command":"rm -rf /"}`))],
      expected: "no",
    },
    {
      name: "no such question",
      script: { turns: [{ when: { classification: true }, text: "no" }, { text: "?" }] },
      messages: [user(CLASSIFICATION_REQUEST)],
      expected: "?",
    },
    {
      name: "the number in the conversation",
      script: { turns: [{ when: { turn: 2, step: 1 }, text: "yes" }, { text: "?" }] },
      messages: [user("x"), { role: "assistant", blocks: [], model: "other/m" }, user("y")],
      expected: "yes",
    },
    {
      name: "the system prompt",
      script: { turns: [{ when: { system: "a test" }, text: "yes" }, { text: "?" }] },
      messages: [user("x")],
      expected: "yes",
    },
  ])("when: $name", async ({ script, messages, expected }) => {
    expect(textOf(await answer(createScriptedModel(script), messages))).toBe(expected);
  });

  test("a request that no turn fits fails and says what was expected", async () => {
    const model = createScriptedModel({ turns: [{ name: "greet", when: { user: "hello" }, text: "hi" }] });
    const got = await events(model, request([user("goodbye")]));
    expect(got).toHaveLength(1);
    expect(got[0]).toMatchObject({ type: "failed", failure: { kind: "badRequest" } });
    expect(JSON.stringify(got[0])).toMatch(/user .*goodbye.*turn 1 .*greet.*when .*hello/);
    expect(() => model.assertDone()).toThrow(/no turn fits.*goodbye/);
    expect(() => model.assertDone()).toThrow(/not played: turn 1 "greet".*\(0 of 1\)/);
  });

  test("assertDone passes when every turn was played; `any` may be left out", async () => {
    const model = createScriptedModel({ turns: [{ text: "one" }, { text: "rest", times: "any" }] });
    await answer(model, [user("go")]);
    model.assertDone();
    expect(model.requests).toHaveLength(1);
  });
});

describe("what a turn says", () => {
  test("reasoning, text and parallel calls in small pieces that add up", async () => {
    const model = createScriptedModel({
      defaults: { chunkSize: 4 },
      turns: [
        {
          reasoning: "Let me think.",
          text: "Two things 🎉🎉🎉 at once.",
          calls: [{ tool: "shell", input: { command: "ls -l" } }, { tool: "read" }],
        },
      ],
    });
    const got = await events(model, request([user("go")]));
    const joined = (type: string, callId?: string) =>
      got
        .map((event) =>
          event.type === type && "text" in event && (!("callId" in event) || event.callId === callId)
            ? event.text
            : "",
        )
        .join("");
    expect(joined("reasoningDelta")).toBe("Let me think.");
    expect(joined("textDelta")).toBe("Two things 🎉🎉🎉 at once.");
    expect(joined("toolCallDelta", "call_1_1")).toBe('{"command":"ls -l"}');
    for (const event of got) if ("text" in event) expect(event.text.isWellFormed()).toBe(true);
    expect(got.at(-1)).toEqual({
      type: "finished",
      answer: {
        blocks: [
          { type: "reasoning", text: "Let me think." },
          { type: "text", text: "Two things 🎉🎉🎉 at once." },
          { type: "toolCall", callId: "call_1_1", name: "shell", input: { command: "ls -l" } },
          { type: "toolCall", callId: "call_1_2", name: "read", input: {} },
        ],
        stopReason: "toolCalls",
        usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 18, reasoning: 4 },
        sidecar: { provider: "scripted", data: { played: 0, turn: 1 } },
      },
    });
  });

  test("call ids keep counting when older messages have left the request", async () => {
    const script: Script = { turns: [{ times: "any", calls: [{ tool: "read" }] }] };
    const late: Message = {
      role: "assistant",
      blocks: [],
      model: "scripted",
      sidecar: { provider: "scripted", data: { played: 0, turn: 7 } },
    };
    const { blocks } = await answer(createScriptedModel(script), [
      user("summary"),
      late,
      result("read", "x"),
    ]);
    expect(blocks).toMatchObject([{ callId: "call_8_1" }]);
  });

  test("values from the conversation, also inside arguments", async () => {
    const model = createScriptedModel({
      turns: [
        {
          text: "{{user}}: {{result.shell /rows: (\\d+)/}} of {{ result.shell /\\w+$/ }}, {{turn}}.{{step}}",
          calls: [{ tool: "write", input: { files: ["{{result}}", 7] } }],
        },
      ],
    });
    const { blocks } = await answer(model, [user("count"), result("shell", "rows: 12 total")]);
    expect(blocks).toMatchObject([
      { text: "count: 12 of total, 1.1" },
      { input: { files: ["rows: 12 total", 7] } },
    ]);
  });

  test("a value that is not there fails and names the placeholder", async () => {
    const model = createScriptedModel({ turns: [{ text: "{{result.shell}}" }] });
    const [failed] = await events(model, request([user("x")]));
    expect(JSON.stringify(failed)).toContain("turn 1: {{result.shell}}: there is no such value");
  });

  test("arguments that are not JSON", async () => {
    const model = createScriptedModel({
      turns: [{ calls: [{ tool: "shell", inputText: '{"command": "l' }] }],
    });
    const { blocks } = await answer(model, [user("x")]);
    expect(blocks).toMatchObject([{ input: {}, malformed: '{"command": "l' }]);
  });

  test("arguments with a certain repair", async () => {
    const model = createScriptedModel({
      turns: [{ calls: [{ tool: "shell", inputText: '{"command": "ls"' }] }],
    });
    const { blocks } = await answer(model, [user("x")]);
    expect(blocks).toMatchObject([{ input: { command: "ls" }, repaired: '{"command": "ls"' }]);
  });

  test("each call is told as completed behind its last piece, except the one that ends the answer", async () => {
    const clock = createFakeClock();
    const model = createScriptedModel(
      {
        turns: [
          {
            text: "Go",
            calls: [
              { tool: "read", input: { path: "a" } },
              { tool: "shell", inputText: "{" },
              { tool: "read", input: { path: "c" } },
            ],
            chunkSize: 100,
            delayMs: 10,
          },
        ],
      },
      { clock },
    );
    const seen: [number, ModelEvent][] = [];
    const reading = (async () => {
      const stream = model.stream(request([user("x")]), never);
      for await (const event of stream) seen.push([clock.monotonic(), event]);
    })();
    await clock.advance(1000);
    await reading;
    const given = finishedAnswer(seen.map(([, event]) => event));
    expect(seen.filter(([, { type }]) => type === "callCompleted" || type === "toolCallStarted")).toEqual([
      [20, expect.objectContaining({ callId: "call_1_1" })],
      [30, { type: "callCompleted", soFar: { blocks: given.blocks.slice(0, 2), sidecar: given.sidecar } }],
      [40, expect.objectContaining({ callId: "call_1_2" })],
      [50, { type: "callCompleted", soFar: { blocks: given.blocks.slice(0, 3), sidecar: given.sidecar } }],
      [60, expect.objectContaining({ callId: "call_1_3" })],
    ]);
  });

  test("a call that needs a repair is not told before the end", async () => {
    const model = createScriptedModel({
      turns: [{ calls: [{ tool: "shell", inputText: '{"a": "b"' }, { tool: "read" }] }],
    });
    const types = (await events(model, request([user("x")]))).map(({ type }) => type);
    expect(types).not.toContain("callCompleted");
  });

  test("usage and stop reason as given", async () => {
    const model = createScriptedModel({
      turns: [{ text: "cut", stopReason: "maxTokens", usage: { input: 9, cacheRead: 100 } }],
    });
    expect(await answer(model, [user("x")])).toMatchObject({
      stopReason: "maxTokens",
      usage: { input: 9, cacheRead: 100, cacheWrite: 0, output: 1, reasoning: 0 },
    });
  });
});

describe("errors, time and abort", () => {
  test("an error as often as `times` says, then the next turn", async () => {
    const model = createScriptedModel({
      turns: [
        { times: 2, error: { kind: "rateLimited", status: 429, retryAfterMs: 50 } },
        { text: "at last" },
      ],
    });
    const failed = {
      type: "failed",
      failure: {
        kind: "rateLimited",
        message: "the script says: rateLimited",
        status: 429,
        retryAfterMs: 50,
      },
    };
    expect(await events(model, request([user("x")]))).toEqual([failed]);
    expect(await events(model, request([user("x")]))).toEqual([failed]);
    expect(textOf(await answer(model, [user("x")]))).toBe("at last");
    model.assertDone();
  });

  test("an error in the middle of the answer", async () => {
    const model = createScriptedModel({
      turns: [{ text: "abcdef", chunkSize: 2, error: { kind: "network", message: "cut", afterChunks: 2 } }],
    });
    expect(await events(model, request([user("x")]))).toEqual([
      { type: "textDelta", text: "ab" },
      { type: "textDelta", text: "cd" },
      { type: "failed", failure: { kind: "network", message: "cut" } },
    ]);
  });

  test("an error counts pieces of the answer only, not what is told between them", async () => {
    const calls = [{ tool: "read" }, { tool: "read" }];
    const types = async (afterChunks: number) => {
      const model = createScriptedModel({ turns: [{ calls, error: { kind: "network", afterChunks } }] });
      return (await events(model, request([user("x")]))).map(({ type }) => type);
    };
    expect(await types(2)).toEqual(["toolCallStarted", "toolCallDelta", "failed"]);
    expect(await types(3)).toEqual([
      "toolCallStarted",
      "toolCallDelta",
      "callCompleted",
      "toolCallStarted",
      "failed",
    ]);
  });

  test("delays before the first piece and between the others", async () => {
    const clock = createFakeClock();
    const model = createScriptedModel(
      { turns: [{ text: "abc", chunkSize: 1, delayMs: { first: 100, between: 10 } }] },
      { clock },
    );
    const at: number[] = [];
    const reading = (async () => {
      for await (const event of model.stream(request([user("x")]), never)) {
        if (event.type === "textDelta") at.push(clock.monotonic());
      }
    })();
    await clock.advance(200);
    await reading;
    expect(at).toEqual([100, 110, 120]);
  });

  test("an abort ends a delay at once", async () => {
    const model = createScriptedModel({ turns: [{ text: "x", delayMs: 60_000 }] });
    const controller = new AbortController();
    const reading = events(model, request([user("x")]), controller.signal);
    controller.abort();
    expect(await reading).toEqual([
      { type: "failed", failure: { kind: "unknown", message: "the request was aborted" } },
    ]);
  });
});

describe("script files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "script-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function load(name: string, text: string): Promise<Script> {
    const path = join(folder, name);
    await writeFile(path, text);
    return loadScript(path);
  }

  test("YAML and JSON", async () => {
    const expected = { turns: [{ when: { user: "hi" }, text: "hello" }] };
    expect(await load("a.yaml", "turns:\n  - when: { user: hi }\n    text: hello\n")).toEqual(expected);
    expect(await load("a.json", JSON.stringify(expected))).toEqual(expected);
  });

  test("the example of the documentation", async () => {
    const page = await readFile(new URL("../../../docs/scripted-model.md", import.meta.url), "utf8");
    const [, example = ""] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    const model = createScriptedModel(await load("example.yaml", example));
    const asked = user("Find the anomalies in data.csv");
    const first = await answer(model, [asked]);
    expect(first.blocks).toMatchObject([{ type: "text" }, { name: "shell" }, { name: "read" }]);
    const failed = await events(model, request([asked, assistant(first), result("shell", "")]));
    expect(failed.at(-1)).toMatchObject({ type: "failed", failure: { kind: "overloaded" } });
    const second = await answer(model, [asked, assistant(first), result("shell", "  3001 data.csv")]);
    expect(textOf(second)).toBe("The file has 3001 lines.");
    expect(textOf(await answer(model, [user("thanks")], "s2"))).toBe(
      "I only know how to look for anomalies.",
    );
  });

  test("an unknown field: file, line, field, nearest", async () => {
    await expect(load("b.yaml", "turns:\n  - text: a\n  - txet: b\n")).rejects.toThrow(
      /b\.yaml:3: turns\[1\]: unknown field "txet"; did you mean "text"\?/,
    );
  });

  test("a wrong value: file, line, field", async () => {
    await expect(load("c.yaml", "turns:\n  - text: a\n    times: 0\n")).rejects.toThrow(
      /c\.yaml:3: turns\[0\]\.times:/,
    );
  });

  test("broken syntax: file, line and column", async () => {
    await expect(load("d.json", '{"turns": [}')).rejects.toThrow(/d\.json:1:\d+: /);
  });

  test("a missing file", async () => {
    await expect(loadScript(join(folder, "none.yaml"))).rejects.toMatchObject({ code: "invalid_config" });
  });

  test("says how JavaScript writes flags", () => {
    const when = { user: { matches: "(?i)hello" } };
    expect(() => parseScript({ turns: [{ when }] })).toThrow(
      /has flags for a group only; write \(\?i:\.\.\.\)/,
    );
    expect(() => parseScript({ turns: [{ when: { user: { matches: "(?i:hello)" } } }] })).not.toThrow();
  });

  test.each([null, {}, { turns: [] }, { turns: [{ when: { user: { matches: "(" } } }] }])(
    "not a script: %j",
    (value) => {
      expect(() => parseScript(value)).toThrow(expect.objectContaining({ code: "invalid_config" }));
    },
  );
});
