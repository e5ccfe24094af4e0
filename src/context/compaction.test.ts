import { describe, expect, it } from "vitest";
import { noUsage } from "../log/content.ts";
import type { NewEntry } from "../log/entry.ts";
import { fold } from "../log/fold.ts";
import { carriedState, type SessionState } from "../log/state.ts";
import type { ModelFacts } from "../models/model.ts";
import { agentWith } from "../testing/agent-builder.ts";
import {
  call,
  created,
  entries,
  modelIsCalled,
  modelSays,
  runStarts,
  text,
  toolEnds,
  userSays,
} from "../testing/log-builder.ts";
import { compactionDue, softThreshold } from "./compaction.ts";
import { recentGroups } from "./groups.ts";

const agent = agentWith([], { systemPrompt: "", tools: new Map() });

const windowOf = (contextWindow: number | null): ModelFacts => ({
  contextWindow,
  maxOutput: null,
  images: true,
});

const WINDOW = 100_000;
/** What the transcripts below are measured against: below 80 %, since an answer and a turn have to fit. */
const THRESHOLD = WINDOW - 20_000 - 16_000;

const filler = (tokens: number) => "x".repeat(tokens * 4);

/** One answer with a call, and a result of so many tokens. */
const turn = (id: string, tokens: number, said = 10): readonly NewEntry[] => [
  modelIsCalled(),
  modelSays([text(filler(said)), call(id, "read", { path: `${id}.txt` })]),
  toolEnds(id, "read", filler(tokens)),
];

const started = [created(), userSays("Do the work."), runStarts()];

/** So many turns of so many tokens each. */
const turns = (count: number, tokens: number, said?: number) =>
  Array.from({ length: count }, (_, i) => turn(`call${i}`, tokens, said)).flat();

const failed = (tier: "results" | "summary" | "emergency", tokens: number): NewEntry => ({
  type: "compactionFailed",
  runId: "r1",
  tier,
  reason: "",
  tokens,
  usage: noUsage,
  costUsd: 0,
});

function due(
  facts: readonly NewEntry[],
  { window = WINDOW as number | null, isOverflow = false, of = agent } = {},
) {
  return compactionDue(fold(entries(...facts)), of, windowOf(window), { isOverflow });
}

describe("the threshold", () => {
  const row = (window: number, maxOutput: number | null, own: { maxOutputTokens?: number } = {}) =>
    softThreshold(
      window,
      { ...agent, model: { ...agent.model, ...own } },
      { contextWindow: window, maxOutput, images: true },
    );

  it.each([
    ["a large window: 80 %", row(1_000_000, 64_000), 800_000],
    ["a usual one: 80 %", row(200_000, 64_000), 160_000],
    ["a smaller one: an answer and a turn have to fit", row(128_000, 16_000), 96_000],
    ["an unknown output limit counts as a usual one", row(128_000, null), 92_000],
    [
      "an agent's own output limit is kept free, however large",
      row(200_000, 64_000, { maxOutputTokens: 50_000 }),
      134_000,
    ],
    ["a small one: half", row(32_000, 8_000), 16_000],
    ["a tiny one: half", row(1_000, 8_000), 500],
  ])("%s", (_, actual, expected) => expect(actual).toBe(expected));

  it("is what the agent says", () => {
    const own = { ...agent, context: { ...agent.context, compactAt: 0.3 } };
    expect(softThreshold(200_000, own, windowOf(200_000))).toBe(60_000);
  });
});

describe("compaction is not due", () => {
  it.each([
    ["without a run", [created(), userSays(filler(90_000))], {}],
    ["below the threshold", [...started, ...turns(6, 10_000)], {}],
    ["with an unknown window", [...started, ...turns(20, 10_000)], { window: null }],
    [
      "while a call has no result",
      [...started, ...turns(9, 10_000), modelIsCalled(), modelSays([call("open", "read")])],
      {},
    ],
    [
      "where all is one message of the user, which is never left out",
      [created(), userSays(filler(90_000)), runStarts()],
      {},
    ],
  ])("%s", (_, facts, options) => expect(due(facts, options)).toBeNull());
});

describe("the tier", () => {
  it("is results where clearing old ones frees enough, and leaves the newest and the short ones", () => {
    const facts = [...started, ...turn("short", 100), ...turns(7, 10_000)];
    expect(due(facts)).toMatchObject({
      tier: "results",
      callIds: ["call0", "call1", "call2", "call3", "call4", "call5"],
    });
  });

  it("is the summary where it is what was said that takes the room", () => {
    expect(due([...started, ...turns(50, 200, 1_500)])).toMatchObject({ tier: "summary", isOverflow: false });
  });

  it("is the summary where clearing would not get below the threshold", () => {
    const facts = [...started, ...turns(3, 9_000), ...turns(50, 100, 1_500).map(renamed)];
    expect(due(facts)?.tier).toBe("summary");
  });

  it("is the summary after results", () => {
    const facts = [...started, ...turns(8, 10_000)];
    const cleared: NewEntry = {
      type: "resultsCleared",
      runId: "r1",
      results: [{ callId: "call0", file: null }],
      tokensBefore: 80_000,
      tokensAfter: 75_000,
    };
    expect(due([...facts, cleared])?.tier).toBe("summary");
  });

  it("keeps the newest whole groups behind a summary, and what nobody has answered", () => {
    const facts = [...started, ...turns(50, 200, 1_500), userSays("And then?")];
    const plan = due(facts);
    const { messages } = fold(entries(...facts));
    const kept = messages.slice(plan?.tier === "summary" ? plan.keepFrom : Number.NaN);
    expect(kept.map(({ role }) => role)).toEqual([
      ...Array.from({ length: 8 }, () => ["assistant", "tool"]).flat(),
      "user",
    ]);
  });

  it("clears what the model has not seen only when that made the request too long", () => {
    const facts = [...started, ...turns(2, 3_000), ...turn("huge", 70_000)];
    expect(due(facts)).toBeNull();
    expect(due(facts, { isOverflow: true })).toMatchObject({
      tier: "results",
      callIds: ["call0", "call1", "huge"],
    });
  });
});

describe("an overflow", () => {
  const long = [...started, ...turns(50, 200, 1_500)];

  it("is answered whatever the catalogue says of the window", () => {
    for (const window of [null, 2_000_000, WINDOW]) {
      expect(due(long, { isOverflow: true, window })?.tier).toBe("summary");
    }
  });

  it("goes through the tiers, three emergencies at most, and then there is nothing more", () => {
    const tiers: string[] = [];
    let facts = [...long];
    for (let i = 0; i < 20; i++) {
      const plan = due(facts, { isOverflow: true });
      if (plan === null) break;
      tiers.push(plan.tier);
      facts = [...facts, failed(plan.tier, plan.tokensBefore)];
    }
    expect(tiers).toEqual(["summary", "emergency", "emergency", "emergency"]);
  });

  it("keeps less with each emergency, and in the end only what nobody has answered", () => {
    const plans = [0, 1, 2].map((tries) => {
      const facts = [...long, userSays("Now?"), failed("summary", 80_000)];
      for (let i = 0; i < tries; i++) facts.push(failed("emergency", 80_000));
      return due(facts, { isOverflow: true });
    });
    const kept = plans.map((plan) => (plan?.tier === "emergency" ? 102 - plan.keepFrom : Number.NaN));
    expect(kept).toEqual([kept[0], kept[1], kept[2]].toSorted((a, b) => Number(b) - Number(a)));
    expect(new Set(kept).size).toBe(3);
  });
});

describe("after a failure", () => {
  const long = [...started, ...turns(50, 200, 1_500)];
  const tokens = due(long)?.tokensBefore ?? 0;
  /** The turn after the failure was answered, so that every tier may be tried again. */
  const later = (grown: number) => [
    ...long,
    failed("summary", tokens),
    modelIsCalled(),
    modelSays([call("later", "read")]),
    toolEnds("later", "read", filler(grown)),
  ];

  it("the same request is not tried again", () => {
    expect(due([...long, failed("summary", tokens)])).toBeNull();
    expect(due(later(100))).toBeNull();
  });

  it("it is tried again when the transcript has grown by a tenth of the window", () => {
    expect(due(later(8_000))).toBeNull();
    expect(due(later(10_000))?.tier).toBe("summary");
  });

  it("the oldest is left out once the window is full", () => {
    const full = [...started, ...turns(55, 200, 1_500)];
    expect(due([...full, failed("summary", 97_000)])?.tier).toBe("emergency");
  });
});

describe("the room that nothing can give", () => {
  it("does not make a compaction in each turn: what is kept, put back and summarised is not summarised again", () => {
    // System prompt and tools alone are above the threshold.
    const heavy = { ...agent, systemPrompt: filler(THRESHOLD) };
    const short = [...started, ...turns(20, 500)];
    expect(due(short, { of: heavy })).toBeNull();
  });

  it("is not asked for again by the turns after a compaction", () => {
    const state = fold(entries(...started, ...turns(50, 200, 1_500)));
    const after = compacted(state, 0.6 * WINDOW);
    const next: NewEntry[] = [];
    for (let i = 0; i < 10; i++) {
      next.push(...turn(`next${i}`, 100));
      const grown = fold(entries(...started, after, ...next));
      expect(compactionDue(grown, agent, windowOf(WINDOW), { isOverflow: false })).toBeNull();
    }
  });
});

describe("the newest groups", () => {
  const { messages } = fold(
    entries(
      ...started,
      modelIsCalled(),
      modelSays([call("a1", "read"), call("a2", "read")]),
      toolEnds("a1", "read", filler(500)),
      toolEnds("a2", "read", filler(500)),
      modelIsCalled(),
      modelSays([call("b", "read")]),
      toolEnds("b", "read", filler(500)),
      userSays("One more thing."),
    ),
  );

  it.each([
    [0, 5],
    [300, 5],
    [700, 3],
    [1_500, 3],
    [1_700, 0],
    [1_000_000, 0],
  ])("of %i tokens begin at %i, never between a call and its result", (tokens, from) => {
    expect(recentGroups(messages, tokens, { last: false })).toBe(from);
  });

  it("are at least the last one, where that is asked for", () => {
    expect(recentGroups(messages, 0, { last: true })).toBe(3);
  });
});

/** The entry as if it belonged to calls of other names. */
function renamed(entry: NewEntry): NewEntry {
  return JSON.parse(JSON.stringify(entry).replaceAll('"call', '"other'));
}

function compacted(state: SessionState, tokensAfter: number): NewEntry {
  return {
    type: "compacted",
    runId: "r1",
    tier: "summary",
    messages: [
      { role: "user", blocks: [{ type: "text", text: filler(3_000) }] },
      ...state.messages.slice(-16),
    ],
    carried: carriedState(state),
    tokensBefore: 80_000,
    tokensAfter,
    usage: noUsage,
    costUsd: 0,
  };
}
