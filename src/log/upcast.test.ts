import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ENTRY_VERSION, type Entry, type FactType } from "./entry.ts";
import { fold } from "./fold.ts";
import { type StoredEntry, upcast } from "./upcast.ts";

const folder = join(import.meta.dirname, "../../test/fixtures/logs");

describe("logs of earlier releases", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));

  test("there is one for each version", () => {
    expect(files).toEqual(Array.from({ length: ENTRY_VERSION }, (_, i) => `v${i + 1}.jsonl`));
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

test("what a later release wrote passes through untouched", () => {
  const later: StoredEntry = { v: 99, type: "somethingNew", id: "e", nested: { a: 1 } };
  expect(upcast(later)).toBe(later);
});

function read(file: string): readonly Entry[] {
  const lines = readFileSync(join(folder, file), "utf8").trimEnd().split("\n");
  return lines.map((line) => upcast(JSON.parse(line)));
}
