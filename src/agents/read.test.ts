import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { harnessJsonSchema } from "./harness.ts";
import { formatProblems } from "./problem.ts";
import { readHarness } from "./read.ts";

function explain(text: string): string {
  return formatProblems(readHarness(text, "harness.json").problems);
}

function explainField(field: string): string {
  return explain(`{\n"name": "a", "systemPrompt": "b",\n${field}\n}`);
}

test("a file with a name and a prompt is an agent, and every other field has its default", () => {
  expect(readHarness('{ "name": "a", "systemPrompt": "Be brief." }', "harness.json").harness).toEqual({
    name: "a",
    description: "",
    systemPrompt: "Be brief.",
    tools: [],
    hooks: [],
    context: { maxTools: 64, maxToolTokens: 20_000 },
    delivery: "steer",
    permissions: {
      mode: "default",
      deny: [],
      ask: [],
      allow: [],
      breakpoints: [],
      users: {},
      classifier: { timeout: "15s" },
    },
    approvals: {
      onExpire: "deny",
      escalateTo: [],
      remindAfter: [],
      abandonAfter: "7d",
      approvers: [],
      excludeRequester: false,
      quorum: 1,
      unknownOutcome: "tell",
    },
    snapshots: { enabled: true, maxFileSize: "10MiB", maxSize: "1GiB" },
    retention: { abandoned: "30d", idle: "never" },
    sandbox: { isolation: "auto", memory: "2GiB", processes: 256, fileSize: "1GiB", cpus: 2 },
    limits: { turns: 50, duration: "30m", parallelCalls: 10 },
  });
});

test("a model may be only its id", () => {
  const { harness } = readHarness(
    '{ "name": "a", "systemPrompt": "b", "model": "openai/x" }',
    "harness.json",
  );
  expect(harness?.model).toEqual({ id: "openai/x", fallback: [], cache: "5m", timeouts: {} });
});

test.each([
  ['"modell": 1', "3:1 modell", "unknown field", 'Did you mean "model"?'],
  ['"turns": 3', "3:1 turns", "unknown field", 'Did you mean "limits.turns"?'],
  [
    '"limits": {"tokens": 2}',
    "3:12 limits.tokens",
    "unknown field",
    "Known here: turns, duration, parallelCalls, costUsd, sessionCostUsd, dailyCostUsd, runs, sessionsPerMinute.",
  ],
  ['"limits": {"turns": "ten"}', "3:12 limits.turns", 'expected a number, got the text "ten"', "Example: 50"],
  [
    '"limits": {"turns": 1.5}',
    "3:12 limits.turns",
    "expected a whole number, got the number 1.5",
    "Example: 50",
  ],
  ['"limits": {"turns": 0}', "3:12 limits.turns", "expected at least 1, got the number 0"],
  [
    '"limits": {"parallelCalls": 5000}',
    "3:12 limits.parallelCalls",
    "expected at most 1000, got the number 5000",
  ],
  ['"limits": 3', "3:1 limits", "expected an object, got the number 3"],
  ['"limits": null', "3:1 limits", "expected an object, got null"],
  [
    '"limits": {"duration": 30}',
    "3:12 limits.duration",
    "expected text, got the number 30",
    'Example: "30m"',
  ],
  [
    '"limits": {"duration": "30 minutes"}',
    "3:12 limits.duration",
    'expected a time such as "30s", "5m" or "1h30m", got the text "30 minutes"',
    'Example: "30m"',
  ],
  [
    '"limits": {"duration": "90d"}',
    "3:12 limits.duration",
    'expected a time between "1ms" and "24d", got the text "90d"',
    'Example: "30m"',
  ],
  [
    '"sandbox": {"memory": "2G"}',
    "3:13 sandbox.memory",
    'expected a size such as "512MiB" or "2GiB", got the text "2G"',
    'Example: "2GiB"',
  ],
  ['"sandbox": {"cpus": 0}', "3:13 sandbox.cpus", "expected more than 0, got the number 0"],
  [
    '"sandbox": {"isolation": "proces"}',
    "3:13 sandbox.isolation",
    'expected one of "auto", "process", "virtual", "none", got the text "proces"',
    'Did you mean "process"?',
  ],
  [
    '"model": 5',
    "3:1 model",
    "expected text or an object, got the number 5",
    'Example: "anthropic/claude-sonnet-4-6"',
  ],
  [
    '"model": "claude"',
    "3:1 model",
    'expected "provider/name", got the text "claude"',
    'Example: "anthropic/claude-sonnet-4-6"',
  ],
  ['"model": {"idd": "a/b"}', "3:11 model.idd", "unknown field", 'Did you mean "id"?'],
  [
    '"model": {"id": "scripted"}',
    "3:1 model.script",
    'this field is missing: a model with the id "scripted" plays a file',
    'Example: "./script.yaml"',
  ],
  [
    '"model": {"baseUrl": "http://127.0.0.1:1"}',
    "3:1 model.id",
    "this field is missing: which model does the server of model.baseUrl run?",
    'Example: "anthropic/claude-sonnet-4-6"',
  ],
  [
    '"tools": [{"type": "mcp", "url": "http://h"}]',
    "3:12 tools[0].type",
    'expected one of "function", "ask", got the text "mcp"',
  ],
  [
    '"tools": [{"type": "function"}]',
    "3:11 tools[0].module",
    "this field is missing: The TypeScript or JavaScript file that exports the tool.",
    'Example: "./tools/refund.ts"',
  ],
  [
    '"tools": [{"type": "function", "module": "./a.ts", "effect": "onse"}]',
    "3:52 tools[0].effect",
    'expected one of "readonly", "idempotent", "keyed", "reconcile", "once", got the text "onse"',
    'Did you mean "once"?',
  ],
  [
    '"hooks": [{"on": "runEnd", "command": "x", "module": "./y.ts"}]',
    "3:44 hooks[0].module",
    'give either "command" or "module", not both',
  ],
  [
    '"hooks": [{"on": "runEnd", "command": "x", "export": "y"}]',
    "3:44 hooks[0].export",
    '"export" does not go with "command"',
  ],
  [
    '"hooks": [{"on": "runend", "module": "./y.ts"}]',
    "3:12 hooks[0].on",
    'expected one of "sessionStart", "input", "beforeModel", "beforeTool", "afterTool", "beforeCompact", "runEnd", got the text "runend"',
    'Did you mean "runEnd"?',
  ],
  [
    '"model": {"id": "a/b", "fallback": [{"id": "c/d", "price": {}}]}',
    "3:51 model.fallback[0].price",
    "unknown field",
    'Did you mean "prices"?',
  ],
  [
    '"model": {"id": "a/b", "contextWindow": 8000, "maxOutputTokens": 8000}',
    "3:47 model.maxOutputTokens",
    "expected less than model.contextWindow, which prompt and answer share, got the number 8000",
  ],
  [
    '"approvals": {"approvers": ["ada", "bob", "ada"], "quorum": 3}',
    "3:51 approvals.quorum",
    "expected at most 2: there are not more approvers, got the number 3",
    "Example: 1",
  ],
  [
    '"approvals": {"escalateTo": ["eve"], "onExpire": "escalate", "quorum": 2, "expiresAfter": "1h"}',
    "3:62 approvals.quorum",
    "expected at most 1: there are not more people in escalateTo, got the number 2",
    "Example: 1",
  ],
  [
    '"approvals": {"onExpire": "approve"}',
    "3:1 approvals.expiresAfter",
    'this field is missing: without it "onExpire": "approve" never comes',
    'Example: "4h"',
  ],
  [
    '"approvals": {"expiresAfter": "1h", "escalateTo": ["eve"]}',
    "3:37 approvals.escalateTo",
    'expected none without "onExpire": "escalate", since nobody asks them, got a list',
    "Example: []",
  ],
  [
    '"approvals": {"expiresAfter": "7d"}',
    "3:15 approvals.expiresAfter",
    'expected less than abandonAfter (7d), when the run is given up, got the text "7d"',
    'Example: "4h"',
  ],
  [
    '"permissions": {"deny": ["shell(git push*"]}',
    "3:26 permissions.deny[0]",
    'not a rule: the closing ")" is missing at its end, got the text "shell(git push*"',
  ],
])("explains %s", (field, place, message, hint?: string) => {
  const lines = [`harness.json:${place}`, `  ${message}`, ...(hint === undefined ? [] : [`  ${hint}`])];
  expect(explainField(field)).toBe(lines.join("\n"));
});

test("who excludes requesters may escalate at once, without a time", () => {
  const terms = '"approvals": {"excludeRequester": true, "escalateTo": ["eve"], "onExpire": "escalate"}';
  expect(explainField(terms)).toBe("");
});

test("tells all mistakes at once, each with its place", () => {
  expect(explain('{\n  "name": "My Agent",\n  "prompt": "Hello",\n  "limits": { "turn": 5 }\n}\n')).toBe(
    [
      "harness.json:2:3 name",
      '  expected 1 to 64 lower-case letters, digits and hyphens, got the text "My Agent"',
      '  Example: "analyst"',
      "",
      "harness.json:1:1 systemPrompt",
      '  this field is missing: Who the agent is and how it works. Text, or a file when it starts with "./" or "../".',
      '  Example: "./system-prompt.md"',
      "",
      "harness.json:4:15 limits.turn",
      "  unknown field",
      '  Did you mean "turns"?',
      "",
      "harness.json:3:3 prompt",
      "  unknown field",
      "  Known here: $schema, name, description, systemPrompt, model, workspace, tools, hooks, context, delivery, permissions, approvals, snapshots, retention, sandbox, limits.",
    ].join("\n"),
  );
});

test("shows where malformed JSON breaks", () => {
  expect(explain('{\n  "name": "a"\n  "systemPrompt": "b"\n}')).toBe(
    [
      "harness.json:3:3",
      '  expected "," or "}" here',
      '  2 |   "name": "a"',
      '  3 |   "systemPrompt": "b"',
      "    |   ^",
    ].join("\n"),
  );
});

test("schema/harness.json is what the code says (`npm run schema` writes it)", () => {
  const published = readFileSync(new URL("../../schema/harness.json", import.meta.url), "utf8");
  expect(published).toBe(`${JSON.stringify(harnessJsonSchema(), null, 2)}\n`);
});
