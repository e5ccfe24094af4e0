import { expect, test } from "vitest";
import type { Effect, PermissionMode } from "../log/entry.ts";
import type { Decision, PolicyCall, RuleSet } from "./policy.ts";
import { type OwnRules, policyFingerprint, policyOf } from "./rules.ts";

const bare: OwnRules = { mode: "default", deny: [], ask: [], allow: [], breakpoints: [] };

function decide(
  call: Partial<PolicyCall> & { readonly name: string },
  own: Partial<OwnRules>,
  mode: PermissionMode = "default",
  rules: readonly RuleSet[] = [],
): Decision {
  return policyOf({ ...bare, ...own })({ input: {}, effect: "once", ...call }, { mode, rules });
}

const shell = (command: string) => ({ name: "shell", input: { command }, effect: "reconcile" as Effect });
const write = (path: string) => ({
  name: "write",
  input: { path, content: "x" },
  effect: "idempotent" as Effect,
});
const read = (path: string) => ({ name: "read", input: { path }, effect: "readonly" as Effect });
const refund = { name: "refund", input: { amount: 20 }, effect: "keyed" as Effect };

/** Without rules: what each mode makes of a call that changes nothing, something in the workspace, and something outside. */
const MODES: readonly (readonly [PermissionMode, string, string, string, string])[] = [
  // mode, read(a.ts), write(a.ts), write(/etc/a), refund
  ["default", "allow", "ask", "ask", "ask"],
  ["acceptEdits", "allow", "allow", "ask", "ask"],
  ["plan", "allow", "deny", "deny", "deny"],
  ["auto", "allow", "classify", "classify", "classify"],
  ["dontAsk", "allow", "deny", "deny", "deny"],
  ["bypass", "allow", "allow", "allow", "allow"],
];

test.each(MODES)("%s: read %s, write %s, write outside %s, refund %s", (mode, ...expected) => {
  const calls = [read("a.ts"), write("a.ts"), write("/etc/a"), refund];
  expect(calls.map((call) => decide(call, {}, mode).type)).toEqual(expected);
});

/** What a rule on `refund` makes of it in each mode. */
test.each<readonly [string, Partial<OwnRules>, string]>([
  // rules: default, acceptEdits, plan, auto, dontAsk, bypass
  ["allow", { allow: ["refund"] }, "allow allow deny allow allow allow"],
  ["ask", { ask: ["refund"] }, "ask ask deny ask deny allow"],
  ["ask and allow", { ask: ["refund"], allow: ["refund"] }, "ask ask deny ask deny allow"],
  ["deny", { deny: ["refund"] }, "deny deny deny deny deny deny"],
  ["deny and allow", { deny: ["refund"], allow: ["*"] }, "deny deny deny deny deny deny"],
  ["breakpoint", { breakpoints: ["refund"] }, "ask ask ask ask deny ask"],
  ["breakpoint and allow", { breakpoints: ["refund"], allow: ["*"] }, "ask ask ask ask deny ask"],
  ["breakpoint and deny", { breakpoints: ["refund"], deny: ["refund"] }, "deny deny deny deny deny deny"],
  ["no rule", {}, "ask ask deny classify deny allow"],
])("%s, in default acceptEdits plan auto dontAsk bypass", (_name, own, expected) => {
  const modes: readonly PermissionMode[] = ["default", "acceptEdits", "plan", "auto", "dontAsk", "bypass"];
  expect(modes.map((mode) => decide(refund, own, mode).type).join(" ")).toBe(expected);
});

test("a breakpoint says that it is one", () => {
  expect(decide(refund, { breakpoints: ["refund"] }, "bypass")).toMatchObject({
    type: "ask",
    isBreakpoint: true,
    permission: { layer: "rules", by: "breakpoint: refund (harness.json)" },
  });
});

test("what would ask is denied in dontAsk, and the reason still says why", () => {
  const { permission, reason } = decide(refund, { ask: ["refund"] }, "dontAsk");
  expect(permission).toEqual({ layer: "mode", by: "mode dontAsk" });
  expect(reason).toContain("ask: refund (harness.json)");
  expect(reason).toContain("Nobody can be asked");
});

/** Who has said it does not matter: deny, then ask, then allow. */
test.each<readonly [string, Partial<OwnRules>, Partial<RuleSet>, string, string]>([
  ["a user's deny", { allow: ["*"] }, { deny: ["refund"] }, "deny", "deny: refund (user alice)"],
  ["a user's ask", { allow: ["*"] }, { ask: ["refund"] }, "ask", "ask: refund (user alice)"],
  ["a user's allow", {}, { allow: ["refund"] }, "allow", "allow: refund (user alice)"],
  [
    "a user's allow under an own deny",
    { deny: ["refund"] },
    { allow: ["*"] },
    "deny",
    "deny: refund (harness.json)",
  ],
  [
    "a user's allow under an own ask",
    { ask: ["refund"] },
    { allow: ["*"] },
    "ask",
    "ask: refund (harness.json)",
  ],
])("%s", (_name, own, rules, type, by) => {
  const set: RuleSet = { source: "user alice", deny: [], ask: [], allow: [], ...rules };
  const decision = decide(refund, own, "default", [set]);
  expect(decision).toMatchObject({ type, permission: { layer: "rules", by } });
});

test("a rule that cannot be read forbids nothing and lets nothing go: it asks", () => {
  const set: RuleSet = { source: "this session", deny: ["refund("], ask: [], allow: [] };
  expect(decide(refund, { allow: ["*"] }, "default", [set]).type).toBe("ask");
  expect(decide(refund, {}, "default", [{ ...set, deny: [], allow: ["refund("] }]).type).toBe("ask");
});

test("a refusal names layer and rule, and tells the model what to do", () => {
  expect(decide(shell("ls; rm -rf build"), { deny: ["shell(rm *)"], allow: ["*"] })).toMatchObject({
    type: "deny",
    permission: { layer: "rules", by: "deny: shell(rm *) (harness.json)" },
    reason:
      'shell was not started: the rule "deny: shell(rm *) (harness.json)" forbids "rm -rf build". ' +
      "Do not try it in another way; do without it, or say what you cannot do.",
  });
});

test("of two rules that ask, the one that is certainly about the call is named first", () => {
  const own = { deny: ["write(.env*)"], ask: ["shell(git push *)"] };
  expect(decide(shell("git push origin"), own)).toMatchObject({
    type: "ask",
    permission: { layer: "rules", by: "deny: write(.env*) (harness.json)" },
    reason:
      'The rule "ask: shell(git push *) (harness.json)" asks before "git push origin": git push publishes commits. ' +
      'It cannot be seen whether the rule "deny: write(.env*) (harness.json)" forbids "git push origin".',
  });
  expect(decide(shell("git push origin"), own, "bypass").reason).toMatch(/^It cannot be seen/);
});

test("a command that is only known when it runs is shown as it is written, and why only once", () => {
  const { reason } = decide(shell("$X foo"), {}, "plan");
  expect(reason.match(/only known when it runs/g)).toHaveLength(1);
  expect(decide(shell('make "$X" && $Y'), {}).reason).toContain('"make "$X"": ');
  expect(decide(shell("$X foo"), { deny: ["shell(rm *)"] }).reason).not.toContain("......");
});

test("in plan, allow rules make no change possible, and reading goes", () => {
  const own = { allow: ["*"] };
  expect(decide(shell("npm test"), own, "plan")).toMatchObject({
    type: "deny",
    permission: { layer: "mode", by: "mode plan" },
  });
  expect(decide(shell("git log | head"), own, "plan").type).toBe("allow");
  expect(decide(shell("if then"), own, "plan").type).toBe("deny");
});

test("what cannot be read asks, also in auto; what is only unclear is classified there", () => {
  expect(decide(shell("echo 'a"), {}, "auto").type).toBe("ask");
  expect(decide(shell("$x"), {}, "auto").type).toBe("classify");
});

test("the fingerprint changes with rules and mode, and with nothing else", () => {
  const own = { ...bare, allow: ["read"] };
  expect(policyFingerprint(own)).toBe(
    policyFingerprint({ breakpoints: [], deny: [], allow: ["read"], ask: [], mode: "default" }),
  );
  expect(policyFingerprint(own)).toMatch(/^[0-9a-f]{16}$/);
  const others: readonly OwnRules[] = [
    { ...own, mode: "plan" },
    { ...own, allow: [] },
    { ...own, deny: ["read"] },
    { ...own, ask: ["x"] },
    { ...own, breakpoints: ["x"] },
  ];
  expect(new Set([own, ...others].map(policyFingerprint)).size).toBe(6);
});
