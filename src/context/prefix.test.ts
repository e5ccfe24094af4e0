import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Agent } from "../agents/agent.ts";
import { noUsage } from "../log/content.ts";
import type { Entry, NewEntry, Prefix } from "../log/entry.ts";
import { advance, fold } from "../log/fold.ts";
import { carriedState, emptyState } from "../log/state.ts";
import { agentWith } from "../testing/agent-builder.ts";
import {
  call,
  created,
  entries,
  modelSays,
  runStarts,
  text,
  toolEnds,
  userSays,
} from "../testing/log-builder.ts";
import { defineTool } from "../tools/define.ts";
import { assemble } from "./assemble.ts";
import { headOfState, newContext } from "./epoch.ts";
import { nextPrefix } from "./prefix.ts";

const tool = (name: string) => defineTool({ name, description: "", input: z.object({}), run: () => "" });
const agent = agentWith([tool("x")]);
const facts = { images: true };
const MODEL = "scripted/tester";

const asked = (model = MODEL): NewEntry => ({ type: "modelCalled", runId: "r1", model, attempt: 1 });
const opens = (cause: "start" | "toolsChanged" | "promptChanged" | "compacted", of = agent): NewEntry =>
  newContext(cause, fold([]), of, { now: 0, project: null });

const start = [created(), userSays("hi"), runStarts(), opens("start")];
const turn = (id: string) => [
  modelSays([text(`I look at ${id}.`), call(id, "x")]),
  toolEnds(id, "x", `result of ${id}, with some length to it`),
];
const twoTurns = [...start, asked(), ...turn("a"), asked(), ...turn("b")];

function prefixAfter(facts_: readonly NewEntry[], more: { agent?: Agent; model?: string } = {}): Prefix {
  return nextPrefix(fold(entries(...facts_)), more.agent ?? agent, more.model ?? MODEL, facts);
}

describe("the part of a request that the one before it held", () => {
  it("is none in the first one, for no reason that anybody could change", () => {
    const { reusable, broke, tokens } = prefixAfter(start);
    expect({ reusable, broke }).toEqual({ reusable: 0, broke: undefined });
    expect(tokens).toBeGreaterThan(100);
  });

  it("is all of the one before it", () => {
    const first = prefixAfter(start);
    const second = prefixAfter([...start, asked(), ...turn("a")]);
    expect(second.reusable).toBe(first.tokens);
    expect(second.tokens).toBeGreaterThan(first.tokens);
    expect(second.broke).toBeUndefined();
  });

  it("is everything when a request is repeated", () => {
    const again = prefixAfter([...start, asked()]);
    expect(again.reusable).toBe(again.tokens);
    expect(again.hash).toBe(prefixAfter(start).hash);
  });

  const messages = [{ role: "user", blocks: [{ type: "text", text: "summary" }] }] as const;
  const compacts: NewEntry = {
    type: "compacted",
    runId: "r1",
    tier: "summary",
    messages,
    carried: carriedState(fold(entries(...twoTurns))),
    tokensBefore: 10,
    tokensAfter: 5,
    usage: noUsage,
    costUsd: null,
  };
  const clears = (callId: string): NewEntry => ({
    type: "resultsCleared",
    runId: "r1",
    results: [{ callId, file: null }],
    tokensBefore: 10,
    tokensAfter: 5,
  });
  const head = headOfState(fold(entries(...start)), agent);
  const other = agentWith([tool("y")]);
  const reworded = agentWith([tool("x")], { systemPrompt: "Other." });

  it.each<[string, readonly NewEntry[], { agent?: Agent; model?: string }, Prefix["broke"], number]>([
    ["another model", twoTurns, { model: "openai/x" }, "modelChanged", 0],
    ["other tools", [...twoTurns, opens("toolsChanged", other)], { agent: other }, "toolsChanged", 0],
    [
      "another prompt",
      [...twoTurns, opens("promptChanged", reworded)],
      { agent: reworded },
      "promptChanged",
      head.toolTokens,
    ],
    [
      "a summary, behind which tools and prompt are the same",
      [...twoTurns, compacts, opens("compacted")],
      {},
      "compacted",
      head.toolTokens + head.systemTokens,
    ],
    [
      "a cleared result: what stands before it goes on",
      [...twoTurns, clears("a")],
      {},
      "compacted",
      prefixAfter(start).tokens + prefixOfAnswer("a"),
    ],
  ])("ends with %s", (_name, facts_, more, broke, reusable) => {
    const prefix = prefixAfter(facts_, more);
    expect(prefix.broke).toBe(broke);
    expect(prefix.reusable).toBe(reusable);
  });

  it("is known also where the log was read from the compaction on only", () => {
    const log = entries(...twoTurns, compacts, opens("compacted"), asked(), ...turn("c"));
    const from = log.findIndex(({ type }) => type === "compacted");
    for (const end of [from + 2, log.length]) {
      const [whole, tail] = [fold(log.slice(0, end)), fold(log.slice(from, end))];
      expect(tail.sent).toEqual(whole.sent);
      expect(tail.toolUses).toEqual(whole.toolUses);
      expect(nextPrefix(tail, agent, MODEL, facts)).toEqual(nextPrefix(whole, agent, MODEL, facts));
    }
  });

  it("does not end where only results that no request has held are cleared", () => {
    const { broke } = prefixAfter([...twoTurns, clears("b")]);
    expect(broke).toBeUndefined();
  });

  it("is told of once: the request behind the next one goes on with that", () => {
    const { broke } = prefixAfter([...twoTurns, clears("a"), asked(), ...turn("c")]);
    expect(broke).toBeUndefined();
  });
});

describe("the hash", () => {
  it("is the same for the same log, whether the state grew or was folded anew", () => {
    const log = entries(...twoTurns);
    const grown = growing(log);
    const reread: readonly Entry[] = JSON.parse(JSON.stringify(log));
    expect(nextPrefix(fold(reread), agentWith([tool("x")]), MODEL, facts)).toEqual(grown.at(-1));
  });

  it.each<[string, readonly NewEntry[]]>([
    ["a message", [...start, userSays("more")]],
    [
      "the prompt",
      [...start.slice(0, 3), newContext("start", fold([]), agent, { now: 1e12, project: null })],
    ],
  ])("changes with %s", (_name, facts_) => {
    expect(prefixAfter(facts_).hash).not.toBe(prefixAfter(start).hash);
  });

  it("differs for a model that is shown descriptions instead of images", () => {
    const image = { type: "image", mediaType: "image/png", data: "AAAA" } as const;
    const seen = fold(
      entries(created(), { ...userSays("x"), blocks: [image] } as NewEntry, runStarts(), opens("start")),
    );
    const hashes = [
      nextPrefix(seen, agent, "a/sees", { images: true }).hash,
      nextPrefix(seen, agent, "a/blind", { images: false }).hash,
      nextPrefix(seen, agent, "a/sees", { images: true }).hash,
    ];
    expect(hashes[0]).toBe(hashes[2]);
    expect(hashes[0]).not.toBe(hashes[1]);
  });
});

describe("the cache plan", () => {
  const planOf = (facts_: readonly NewEntry[], sessionId = "s") =>
    assemble(sessionId, fold(entries(...facts_)), agent, facts).cache;

  it("marks the system prompt and the end at first", () => {
    expect(planOf(start)).toEqual({
      key: "s",
      lifetime: "5m",
      breakpoints: [{ after: "system" }, { after: "message", index: 0 }],
    });
  });

  it.each([
    ["before it is recorded", twoTurns],
    ["after it", [...twoTurns, asked()]],
  ])("marks where the last request ended, asked %s", (_name, facts_) => {
    const indices = planOf(facts_)?.breakpoints.flatMap((point) =>
      point.after === "message" ? [point.index] : [],
    );
    // Messages: user | assistant, results | assistant, results.
    expect(indices).toEqual(expect.arrayContaining([2, 4]));
    expect(indices?.length).toBeLessThanOrEqual(3);
  });

  it("has a key that every provider takes", () => {
    const long = planOf(start, "s".repeat(200))?.key ?? "";
    expect(long.length).toBeLessThanOrEqual(64);
    expect(planOf(start, `${"s".repeat(199)}t`)?.key).not.toBe(long);
  });
});

/** The prefix before each request, as somebody sees it who has owned the state from the start. */
function growing(log: readonly Entry[]): readonly Prefix[] {
  const state = emptyState();
  return log.map((entry) => {
    advance(state, entry);
    return nextPrefix(state, agent, MODEL, facts);
  });
}

/** What the answer of a turn adds. */
function prefixOfAnswer(id: string): number {
  const [answer] = turn(id);
  const before = prefixAfter([...start, asked()]);
  return prefixAfter([...start, asked(), answer as NewEntry]).tokens - before.tokens;
}
