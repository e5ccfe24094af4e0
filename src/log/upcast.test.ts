import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ENTRY_VERSION, type Entry, type FactType } from "./entry.ts";
import { fold } from "./fold.ts";
import { type StoredEntry, upcast } from "./upcast.ts";

const folder = join(import.meta.dirname, "../../test/fixtures/logs");

describe("logs of earlier releases", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));

  test("there is at least one for each version", () => {
    const versions = new Set(files.map((name) => Number(/^v(\d+)(?:-\d+)?\.jsonl$/.exec(name)?.[1])));
    expect(versions).toEqual(new Set(Array.from({ length: ENTRY_VERSION }, (_, i) => i + 1)));
  });

  test("hold every type of entry", () => {
    const types: Readonly<Record<FactType, true>> = {
      sessionCreated: true,
      userMessage: true,
      runStarted: true,
      runResumed: true,
      contextOpened: true,
      contextAdded: true,
      modelCalled: true,
      modelFailed: true,
      modelSwitched: true,
      answerPart: true,
      assistantMessage: true,
      toolStarted: true,
      toolFinished: true,
      hookDecided: true,
      callClassified: true,
      modeChanged: true,
      ruleAdded: true,
      workspaceSaved: true,
      headMoved: true,
      interruptVoted: true,
      runPaused: true,
      resultsCleared: true,
      compacted: true,
      compactionFailed: true,
      interrupted: true,
      interruptResolved: true,
      stopRequested: true,
      runFinished: true,
      runFailed: true,
    };
    const held = new Set(files.flatMap((name) => read(name).map((entry) => entry.type)));
    expect(held).toEqual(new Set(Object.keys(types)));
  });

  test.each(files)("%s reads as entries of today", (file) => {
    const entries = read(file);
    expect(new Set(entries.map((entry) => entry.v))).toEqual(new Set([ENTRY_VERSION]));
    expect(entries.map((entry) => entry.seq)).toEqual(entries.map((_, i) => i + 1));
    expect(fold(entries).headId).toBe(entries.at(-1)?.id);
  });

  test("v1 has every type of its time, and folds to what it meant", () => {
    const entries = read("v1.jsonl");
    const types: Readonly<Partial<Record<FactType, true>>> = {
      sessionCreated: true,
      userMessage: true,
      runStarted: true,
      runResumed: true,
      modelCalled: true,
      modelFailed: true,
      assistantMessage: true,
      toolStarted: true,
      toolFinished: true,
      stopRequested: true,
      runFinished: true,
      runFailed: true,
    };
    expect(new Set(entries.map((entry) => entry.type))).toEqual(new Set(Object.keys(types)));

    const state = fold(entries);
    expect(state).toMatchObject({ agent: "analyst", run: null, openCalls: [], unanswered: null });
    expect(state.lastRun).toMatchObject({ runId: "run_3", end: "failed" });
    expect(state.usage).toEqual({
      input: 1_300,
      cacheRead: 2_000,
      cacheWrite: 800,
      output: 102,
      reasoning: 40,
    });
    expect([state.costUsd, state.unpricedCalls]).toEqual([0.0084, 1]);
    expect(state.messages[0]).toMatchObject({
      role: "user",
      blocks: [
        { text: "Which row is wrong? \u0000\ud800" },
        { mediaType: "image/png", data: "iVBORw0KGgo=" },
      ],
    });
    expect(state.messages.map((message) => message.role)).toEqual([
      "user",
      "assistant",
      "tool",
      "assistant",
      "user",
      "user",
    ]);
  });
});

test("v1-2, in which everything happens, folds to what it meant, also from its compaction on", () => {
  const entries = read("v1-2.jsonl");
  const state = fold(entries);
  expect(state).toMatchObject({
    agent: "keeper",
    run: null,
    openCalls: [],
    unanswered: null,
    lastRun: { end: "endTurn" },
    usage: { input: 174_781, output: 10_055 },
    unpricedCalls: 2,
    raisedUsd: 10,
    toldDay: "2026-02-03",
    context: { cause: "compacted" },
  });
  expect(state.costUsd).toBeCloseTo(0.267125);
  expect(state.lostUsd).toBeCloseTo(0.038051);
  expect(state.messages).toHaveLength(12);
  expect(JSON.stringify(state.messages[0])).toContain("Look after the bees.");
  const from = entries.findLastIndex(({ type }) => type === "compacted");
  expect(fold(entries.slice(from))).toEqual(state);
});

test("v1-3, in which people are asked and the head moves, folds to what it meant, and waits", () => {
  const entries = read("v1-3.jsonl");
  const path = pathIn(entries);
  expect(path.length).toBeLessThan(entries.length);
  const state = fold(path);
  expect(state).toMatchObject({
    agent: "till",
    mode: "default",
    rules: [{ scope: "session", list: "allow", rule: "write(notes.txt)" }],
    usage: { output: expect.any(Number) },
  });
  expect(state.run).toMatchObject({
    paused: true,
    actors: ["eve"],
    interrupts: [
      { request: { kind: "approval", quorum: 2, call: { tool: "refund", input: { amount: 60 } } } },
    ],
  });
  expect(state.workspace.snapshot).not.toBeNull();
  // What it cost on the branch that was left is not forgotten.
  expect(state.costUsd).toBeGreaterThan(0);
});

/** From the root to the head. */
function pathIn(entries: readonly Entry[]): readonly Entry[] {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const path: Entry[] = [];
  for (let next = entries.at(-1); next !== undefined; next = byId.get(next.parentId ?? ""))
    path.unshift(next);
  return path;
}

test("what a later release wrote passes through untouched", () => {
  const later: StoredEntry = { v: 99, type: "somethingNew", id: "e", nested: { a: 1 } };
  expect(upcast(later)).toBe(later);
});

function read(file: string): readonly Entry[] {
  const lines = readFileSync(join(folder, file), "utf8").trimEnd().split("\n");
  return lines.map((line) => upcast(JSON.parse(line)));
}
