import { createServer, type Server } from "node:http";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Entry, NewEntry } from "../log/entry.ts";
import type { RunEvent } from "../run/session/events.ts";
import {
  call,
  created,
  entries,
  modelIsCalled,
  modelSays,
  runStarts,
  stopIsAsked,
  text,
  toolEnds,
  toolStarts,
  userSays,
} from "../testing/log-builder.ts";
import { runCli } from "./cli.ts";
import { jsonText, printable } from "./printable.ts";
import { createRunView } from "./render/render.ts";
import { createSessionView } from "./render/session-view.ts";

const all = { colours: true, erasing: true };
const none = { colours: false, erasing: false };

describe("printable", () => {
  test.each([
    ["plain\ttext\nand 日本語 👍", "plain\ttext\nand 日本語 👍"],
    ["a\u001b]0;owned\u0007b", "ab"],
    ["a\u001b]52;c;ZXZpbA==\u0007b", "ab"],
    ["a\u001b]8;;http://evil\u001b\\link\u001b]8;;\u001b\\b", "alinkb"],
    ["a\u001bP+q\u001b\\b", "ab"],
    ["a\u001b]0;never closed", "a"],
    ["a\u001b[2J\u001b[1;1Hb", "ab"],
    ["a\u001b[8mhidden\u001b[0mb", "ahiddenb"],
    ["a\u001b[38;5;0mb", "ab"],
    ["a\u009b2Jb\u009d0;title\u009cc", "abc"],
    ["safe\rrm -rf", "saferm -rf"],
    ["line\r\n", "line\r\n"],
    ["a\b\b\u0000\u007fb\u001bc", "abc"],
    ["a\u202eb\u2066c\u2069", "abc"],
    ["\u001b\u001b[31m[31mx", "[31mx"],
    ["\u001b[3\u00071mx", "[31mx"],
  ])("%j has nothing that a terminal obeys", (given, expected) => {
    expect(printable(given, none)).toBe(expected);
    expect(printable(printable(given, none), none)).toBe(expected);
  });

  test("our colours and the erasing of our line get through where they may, and only they", () => {
    const ours = "\u001b[1m\u001b[31mred\u001b[39m\u001b[22m";
    expect(printable(`\r\u001b[2K${ours}\u001b[7m`, all)).toBe(`\r\u001b[2K${ours}`);
    expect(printable(`\r\u001b[2K${ours}`, { colours: true, erasing: false })).toBe(ours);
    expect(printable(`\r\u001b[2K${ours}`, none)).toBe("red");
  });
});

test("JSON is the same data, and passes the gate unchanged", () => {
  const value = { title: `a\u001b[31m\u009b\u202e\u007f\r\n"`, "\u2066": [1] };
  const json = jsonText(value);
  expect(JSON.parse(json)).toEqual(value);
  expect(printable(json, none)).toBe(json);
  expect(JSON.parse(jsonText(value, 2))).toEqual(value);
});

/** What nobody may get onto the terminal, in all the ways that a terminal obeys. */
const EVIL =
  "x\u001b]0;owned\u0007\u001b]52;c;ZXZpbA==\u0007\u001b[2J\u001b[8m\u001b[31m\u009b2J\u202e\b\b\rover\u001b";
const evil = (what: string) => `${what}${EVIL}`;
/** The same characters, but for line breaks. */
const OBEYED = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

const facts: readonly NewEntry[] = [
  created(),
  userSays(evil("message")),
  runStarts("r1", evil("model")),
  { ...modelIsCalled(2), model: evil("model") } as NewEntry,
  {
    type: "modelFailed",
    runId: "r1",
    model: evil("model"),
    attempt: 1,
    failure: { kind: "unknown", message: evil("failure") },
    durationMs: 1,
  },
  modelSays([
    text(evil("answer")),
    call("c1", evil("tool"), { [evil("key")]: evil("argument") }),
    call("c2", "shell", { command: evil("command") }),
    call("c3", "read", { path: evil("path") }),
  ]),
  toolStarts("c1", evil("tool"), "once"),
  toolEnds("c1", evil("tool"), evil("result"), "error"),
  toolStarts("c2", "shell", "once"),
  { ...toolEnds("c2", "shell", evil("result"), "error"), details: { signal: evil("signal") } } as NewEntry,
  toolEnds("c3", "read", evil("result"), "denied"),
  { ...stopIsAsked(), reason: evil("reason") } as NewEntry,
  { type: "runFailed", runId: "r1", error: { code: "x", message: evil("error"), hint: evil("hint") } },
];

const deltas: readonly RunEvent[] = [
  { type: "textDelta", runId: "r1", text: evil("delta") },
  { type: "toolCallStarted", runId: "r1", callId: "c1", name: evil("tool") },
  { type: "toolOutput", runId: "r1", callId: "c1", stream: "stdout", text: `${evil("output")}\n` },
  { type: "toolProgress", runId: "r1", callId: "c1", message: evil("progress") },
  { type: "notice", code: "x", message: evil("notice") },
];

describe("the renderers", () => {
  const options = {
    style: (_style: unknown, plainText: string) => plainText,
    width: 80,
    output: { head: 9, tail: 1 },
  };

  test("clean what they are given, without the help of the gate", () => {
    const view = createRunView(options);
    const session = createSessionView(options);
    for (const entry of entries(...facts)) {
      for (const event of [{ type: "entry", entry } as const, ...deltas]) {
        for (const shown of [view.add(event), view.activity() ?? "", session.add(event)]) {
          expect(shown, `${event.type} ${entry.type}`).not.toMatch(OBEYED);
        }
      }
    }
    expect(view.close() + session.close()).not.toMatch(OBEYED);
  });
});

describe("a server that sends control characters", () => {
  let server: Server;
  let url: string;

  const session = {
    id: evil("s_1"),
    agent: evil("agent"),
    tenant: evil("tenant"),
    title: evil("title"),
    status: evil("idle"),
    lastRunEnd: evil("end"),
    headId: "e1",
    headSeq: facts.length,
    createdAt: 0,
    updatedAt: 0,
    turns: 1,
    usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
    costUsd: 0,
    unpricedCalls: 0,
    forkedFrom: null,
  };

  function answer(path: string): readonly [status: number, body: object] {
    if (path.startsWith("/v1/agents")) {
      return [500, { error: { code: "internal", message: evil("defect"), hint: evil("hint") } }];
    }
    if (path.endsWith("/stop")) return [200, { stopped: true }];
    if (path.endsWith("/inbox")) {
      const blocks = [{ type: "text", text: evil("waiting") }];
      const command = { type: "message", blocks, delivery: "followUp", actor: evil("actor") };
      return [200, { items: [{ id: evil("in_1"), at: 0, command }] }];
    }
    if (path.includes("/events")) {
      const after = Number(new URLSearchParams(path.split("?")[1]).get("after"));
      return [200, { entries: entries(...facts).filter((entry: Entry) => entry.seq > after) }];
    }
    return [200, path.startsWith("/v1/sessions?") ? { sessions: [session] } : session];
  }

  const commandEvents = [
    { type: "started", operationId: "op_1" },
    { type: "output", stream: "stdout", text: evil("first\u001b]0;") },
    { type: "output", stream: "stdout", text: "half a title\u0007 and text\n" },
    { type: "output", stream: "stderr", text: evil("warning") },
    {
      type: "exit",
      exitCode: 0,
      signal: null,
      durationMs: 1,
      timedOut: false,
      killed: false,
      droppedBytes: 0,
    },
  ];

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url?.endsWith("/exec")) {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end(commandEvents.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""));
        return;
      }
      const [status, body] = answer(request.url ?? "");
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  async function run(words: readonly string[], isTTY: boolean) {
    let printed = "";
    const stream = {
      write(piece: string | Uint8Array, written?: () => void) {
        printed += Buffer.from(piece).toString();
        written?.();
      },
      isTTY,
      columns: 100,
    };
    // What follows the command of `exec` belongs to that command.
    const place = ["--url", url];
    await runCli(words[0] === "exec" ? ["exec", ...place, ...words.slice(1)] : [...words, ...place], {
      cwd: "/",
      env: { TERM: "xterm" },
      stdin: Readable.from([]),
      stdout: stream,
      stderr: stream,
      interruption: () => new AbortController().signal,
    });
    return printed;
  }

  const commands = [
    { words: ["sessions", "list"], shows: "agent" },
    { words: ["sessions", "show", "s_1"], shows: "answer" },
    { words: ["sessions", "stop", "s_1"], shows: "s_1" },
    { words: ["invoke", "hello"], shows: "defect" },
  ];

  test.each(commands)("cannot get them into a pipe: $words", async ({ words, shows }) => {
    const printed = await run(words, false);
    expect(printed).toContain(shows);
    expect(printed).not.toMatch(OBEYED);
  });

  test.each(commands)("cannot get them onto a terminal: $words", async ({ words, shows }) => {
    const printed = await run(words, true);
    // What is left are our own colours, which are none of those that were sent.
    const rest = printed.replaceAll(/\x1b\[(?:1|2|22|3[0-7]|39)m/g, "");
    expect(printed).toContain(shows);
    expect(rest).not.toMatch(OBEYED);
  });

  test.each([{ words: ["sessions", "list", "--json"] }, { words: ["sessions", "show", "s_1", "--json"] }])(
    "and programs get all of them, escaped: $words",
    async ({ words }) => {
      const printed = await run(words, true);
      expect(printed).not.toMatch(OBEYED);
      expect(JSON.stringify(JSON.parse(printed))).toContain(JSON.stringify(session.title));
    },
  );
});
