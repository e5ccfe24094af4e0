import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Agent } from "../agents/agent.ts";
import { noUsage } from "../log/content.ts";
import type { NewEntry } from "../log/entry.ts";
import { fold } from "../log/fold.ts";
import { carriedState, type SessionState } from "../log/state.ts";
import { agentWith } from "../testing/agent-builder.ts";
import { created, entries, modelIsCalled, runStarts, userSays } from "../testing/log-builder.ts";
import { defineTool } from "../tools/define.ts";
import { contextDue, headOfState, newContext } from "./epoch.ts";

const tool = (name: string, description = "") =>
  defineTool({ name, description, input: z.object({}), run: () => "" });

const refund = tool("refund", "Pays back.");
const before = [created(), userSays("hi"), runStarts()];
const moment = { now: 0, project: { name: "AGENTS.md", text: "Use tabs." } };

function opened(agent: Agent): NewEntry {
  return newContext("start", fold(entries(...before)), agent, moment);
}

function stateAfter(agent: Agent, ...facts: readonly NewEntry[]): SessionState {
  return fold(entries(...before, opened(agent), ...facts));
}

const compacted = (state: SessionState): NewEntry => ({
  type: "compacted",
  runId: "r1",
  tier: "summary",
  messages: [{ role: "user", blocks: [{ type: "text", text: "summary" }] }],
  carried: carriedState(state),
  tokensBefore: 10,
  tokensAfter: 5,
  usage: noUsage,
  costUsd: null,
});

describe("what stands before the messages is recorded", () => {
  const agent = agentWith([refund]);

  it.each<[string, SessionState, Agent, string | null]>([
    ["before the first request", fold(entries(...before)), agent, "start"],
    ["once", stateAfter(agent), agent, null],
    ["once over many requests", stateAfter(agent, modelIsCalled()), agent, null],
    [
      "anew when the prompt is another",
      stateAfter(agent),
      agentWith([refund], { systemPrompt: "Other." }),
      "promptChanged",
    ],
    [
      "anew when a tool is described otherwise",
      stateAfter(agent),
      agentWith([tool("refund", "Other.")]),
      "toolsChanged",
    ],
    ["anew when a tool is new", stateAfter(agent), agentWith([refund, tool("more")]), "toolsChanged"],
    ["anew when a tool is gone", stateAfter(agent), agentWith(), "toolsChanged"],
    ["not when only limits differ", stateAfter(agent), agentWith([refund], { delivery: "reject" }), null],
    ["anew after a compaction", stateAfter(agent, compacted(stateAfter(agent))), agent, "compacted"],
  ])("%s", (_name, state, current, cause) => {
    expect(contextDue(state, current)).toBe(cause);
  });

  it("anew when a tool that has to be found is new, and not when its schema is", () => {
    const limits = { context: { compactAt: null, maxTools: 9, maxToolTokens: 20_000 } };
    const three = [tool("a"), tool("b"), tool("c")];
    const state = stateAfter(agentWith(three, limits));
    expect(state.context?.deferred).toEqual(["a", "b", "c"]);
    const c = defineTool({ name: "c", description: "", input: z.object({ x: z.string() }), run: () => "" });
    expect(contextDue(state, agentWith([tool("a"), tool("b"), c], limits))).toBeNull();
    expect(contextDue(state, agentWith([...three, tool("d")], limits))).toBe("toolsChanged");
  });
});

describe("an epoch", () => {
  const agent = agentWith([refund]);

  it("has the same bytes after a restart as before, whatever the files say now", () => {
    const state = stateAfter(agent);
    const reread = fold(JSON.parse(JSON.stringify(entries(...before, opened(agent)))));
    const again = agentWith([refund]);
    expect(contextDue(reread, again)).toBeNull();
    expect(headOfState(reread, again)).toEqual(headOfState(state, agent));
    expect(headOfState(reread, again).system).toContain("Use tabs.");
  });

  it("lists what the one before it has used in full", () => {
    const limits = { context: { compactAt: null, maxTools: 10, maxToolTokens: 20_000 } };
    const many = agentWith([tool("a"), tool("b"), tool("c"), tool("d")], limits);
    const first = stateAfter(many);
    expect(first.context?.deferred).toEqual(["b", "c", "d"]);
    const used = stateAfter(many, { ...toolEnded, name: "c" });
    const next = fold(entries(...before, opened(many), { ...toolEnded, name: "c" }, compacted(used)));
    expect(newContext("compacted", next, many, moment).deferred).toEqual(["a", "b", "d"]);
  });

  it("of an old log, which has none, begins with the next request", () => {
    const old = fold(entries(...before, modelIsCalled()));
    expect(contextDue(old, agent)).toBe("start");
    expect(headOfState(old, agent).tools.map(({ name }) => name)).toContain("refund");
  });
});

const toolEnded: Extract<NewEntry, { type: "toolFinished" }> = {
  type: "toolFinished",
  runId: "r1",
  callId: "x",
  name: "c",
  outcome: "ok",
  blocks: [{ type: "text", text: "done" }],
  durationMs: 1,
};
