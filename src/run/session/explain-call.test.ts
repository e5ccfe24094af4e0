import { describe, expect, test } from "vitest";
import type { Agent } from "../../agents/agent.ts";
import type { Entry, NewEntry } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import { type OwnRules, policyOf } from "../../permissions/rules.ts";
import { agentWith } from "../../testing/agent-builder.ts";
import {
  call,
  created,
  entries,
  modelSays,
  runStarts,
  toolEnds,
  toolStarts,
  userSays,
} from "../../testing/log-builder.ts";
import { explainCall, explainPastCall } from "./explain-call.ts";

function agentOf(rules: Partial<OwnRules>, changes: Partial<Agent> = {}): Agent {
  const own = { mode: "default", deny: [], ask: [], allow: [], breakpoints: [], ...rules } as const;
  const plain = agentWith();
  return agentWith([], {
    policy: policyOf(own),
    permissions: { ...plain.permissions, mode: own.mode, own },
    ...changes,
  });
}

const shell = (command: string) => ({ tool: "shell", input: { command } });
const nothing = fold([]);
const explainIn = (agent: Agent, question: { tool: string; input: unknown }) =>
  explainCall(question, { agent, state: nothing, added: [] });

describe("a call that was not made", () => {
  test("each command of a shell line, and what lets it go", () => {
    const { decision, parts, layers, past, changed } = explainIn(
      agentOf({ allow: ["shell(npm test*)"] }),
      shell("npm test | tail -n 3 && git push"),
    );
    expect(decision).toMatchObject({ type: "ask", permission: { layer: "mode" } });
    expect(parts.map(({ text, allowedBy }) => [text, allowedBy])).toEqual([
      ["npm test", "allow: shell(npm test*) (harness.json)"],
      ["tail -n 3", "mode default"],
      ["git push", null],
    ]);
    expect(layers.map(({ layer }) => layer).filter((layer, i, all) => layer !== all[i - 1])).toEqual([
      "validation",
      "rules",
      "mode",
      "rules",
      "mode",
      "classifier",
      "person",
    ]);
    expect(layers.at(-1)).toMatchObject({ layer: "person", says: "wouldBeAsked" });
    expect({ past, changed }).toEqual({ past: null, changed: null });
  });

  test("a rule that people have added counts, and says where it is from", () => {
    const added = [{ scope: "agent", list: "deny", rule: "shell(git push*)" }] as const;
    const { decision } = explainCall(shell("git push"), { agent: agentOf({}), state: nothing, added });
    expect(decision).toMatchObject({
      type: "deny",
      permission: { by: "deny: shell(git push*) (all sessions of tester)" },
    });
  });

  test("the search for tools needs no rule, and no rule forbids it", () => {
    const question = { tool: "find_tools", input: { query: "pay" } };
    const { decision, layers } = explainIn(agentOf({ deny: ["*"] }), question);
    expect(decision).toMatchObject({ type: "allow", permission: { layer: "mode" } });
    expect(layers.slice(0, 2)).toMatchObject([{ says: "pass" }, { layer: "mode", says: "allow" }]);
  });

  test.each([
    [{ tool: "shel", input: {} }, /no tool "shel"/],
    [{ tool: "shell", input: {} }, /do not fit/],
  ])("what cannot be asked about: %j", (question, reason) => {
    const { decision, layers } = explainIn(agentOf({}), question);
    expect(decision).toMatchObject({ type: "invalid", reason: expect.stringMatching(reason) });
    expect(layers).toMatchObject([{ layer: "validation", says: "deny" }]);
  });

  test("hooks that would be asked are named", () => {
    const hook = {
      name: "lint",
      point: "beforeTool",
      tools: ["sh*"],
      timeoutMs: 1,
      onFailure: "block",
      ask: async () => ({}),
    } as const;
    const other = { ...hook, name: "other", tools: ["read"] };
    const { layers } = explainIn(agentOf({}, { hooks: [hook, other] }), shell("ls"));
    expect(layers.filter(({ layer }) => layer === "hook")).toMatchObject([
      { by: "lint", says: "wouldBeAsked" },
    ]);
  });

  test("in the mode auto the classifier stands before the person", () => {
    const { decision, layers } = explainIn(agentOf({ mode: "auto" }), shell("make"));
    expect(decision.type).toBe("classify");
    expect(layers.slice(-2)).toMatchObject([
      { layer: "classifier", says: "wouldBeAsked" },
      { layer: "person", says: "nothing" },
    ]);
  });
});

describe("a call that was made", () => {
  const asks = (): NewEntry => ({
    type: "interrupted",
    runId: "r1",
    interruptId: "i",
    request: {
      kind: "approval",
      message: "?",
      call: {
        callId: "c",
        tool: "shell",
        input: { command: "make" },
        risk: { reversibility: "hard", reach: "session", why: [] },
      },
      permission: { layer: "mode", by: "mode default" },
      binding: "b",
    },
  });
  const answered: NewEntry = {
    type: "interruptResolved",
    interruptId: "i",
    inboxId: "x",
    answer: { action: "edit", input: { command: "make all" } },
    actor: "ada",
  };
  const starts = (layer: "person" | "rules", by: string): NewEntry =>
    ({ ...toolStarts("c", "shell", "once"), permission: { layer, by } }) as NewEntry;
  const begun = [
    created(),
    { ...userSays("go"), actor: "eve" } as NewEntry,
    runStarts(),
    modelSays([call("c", "shell", { command: "make" })]),
  ];
  const explainPast = (log: readonly Entry[], agent: Agent) =>
    explainPastCall("c", log, { agent, state: fold(log), added: [] });

  test("what happened, in order, with the arguments that a person wrote", () => {
    const log = entries(...begun, asks(), answered, starts("person", "ada"), toolEnds("c", "shell"));
    const found = explainPast(log, agentOf({}));
    expect(found?.past?.events.map(({ type }) => type)).toEqual([
      "interrupted",
      "interruptResolved",
      "toolStarted",
      "toolFinished",
    ]);
    expect(found).toMatchObject({
      input: { command: "make all" },
      past: { asked: { command: "make" }, actors: ["eve"] },
      changed: null,
    });
    expect(found?.layers.at(-1)).toMatchObject({ layer: "person", by: "ada", says: "change" });
  });

  test("whether today's rules would decide otherwise", () => {
    const approved = entries(...begun, asks(), starts("person", "ada"), toolEnds("c", "shell"));
    expect(explainPast(approved, agentOf({ deny: ["shell"] }))?.changed).toBe(
      "a person was asked then; today's mode and rules deny it",
    );
    const allowed = entries(...begun, starts("rules", "allow: shell (harness.json)"), toolEnds("c", "shell"));
    expect(explainPast(allowed, agentOf({ allow: ["shell"] }))?.changed).toBeNull();
    expect(explainPast(allowed, agentOf({}))?.changed).toBe(
      "it was allowed then; today's mode and rules ask a person",
    );
    const denied = {
      ...toolEnds("c", "shell", "no", "denied"),
      details: { permission: { layer: "rules", by: "deny: shell" } },
    };
    expect(explainPast(entries(...begun, denied as NewEntry), agentOf({ allow: ["shell"] }))?.changed).toBe(
      "it was denied then; today's mode and rules allow it",
    );
  });

  test("of a log without permissions nothing is claimed", () => {
    const log = entries(...begun, toolStarts("c", "shell", "once"), toolEnds("c", "shell"));
    expect(explainPast(log, agentOf({ deny: ["shell"] }))?.changed).toBeNull();
    expect(explainPastCall("other", log, { agent: agentOf({}), state: fold(log), added: [] })).toBeNull();
  });
});
