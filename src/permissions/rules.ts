import { sha256 } from "../lib/ids.ts";
import { canonicalJson } from "../lib/json.ts";
import type { Permission, PermissionMode } from "../log/entry.ts";
import { goesInMode, type Hit, type Judged, judge, type ReadRules, readRules } from "./judge.ts";
import type { Decision, Policy, PolicyCall, RuleSet } from "./policy.ts";

export { matchesPattern } from "./match.ts";
export { type ParsedRule, parseRule } from "./rule.ts";

/** What harness.json says in `permissions`. */
export interface OwnRules extends Omit<RuleSet, "source"> {
  /** The agent's default; the situation's mode is the one that counts. */
  readonly mode: PermissionMode;
  /** These ask in every mode. */
  readonly breakpoints: readonly string[];
}

/** Two layers of docs/permissions.md, mode and rules, in one order: deny, breakpoints, plan, ask, bypass, allow, risk. */
export function policyOf(own: OwnRules): Policy {
  const ownRules = readRules({ ...own, source: "harness.json" });
  const known = new WeakMap<RuleSet, ReadRules>();
  const read = (set: RuleSet) => {
    const rules = known.get(set) ?? readRules(set);
    known.set(set, rules);
    return rules;
  };
  return (call, { mode, rules }) => decide(call, mode, judge(call, [ownRules, ...rules.map(read)]));
}

/** Equal for equal rules and mode: what a person has approved under other ones does not hold. */
export function policyFingerprint(own: OwnRules): string {
  const { mode, deny, ask, allow, breakpoints } = own;
  return sha256(canonicalJson({ mode, deny, ask, allow, breakpoints }), 16);
}

/** As `Permission.by` names them. */
export function ruleNames(own: OwnRules): readonly string[] {
  const { deny, breakpoints, ask, allow } = readRules({ ...own, source: "harness.json" });
  return [...deny, ...breakpoints, ...ask, ...allow].map(({ by }) => by);
}

export function decide(call: PolicyCall, mode: PermissionMode, judged: Judged): Decision {
  const decision = weigh(call, mode, judged);
  if (mode !== "dontAsk" || decision.type !== "ask") return decision;
  return {
    type: "deny",
    permission: { layer: "mode", by: "mode dontAsk" },
    risk: decision.risk,
    reason: refusal(call, `${decision.reason} Nobody can be asked in the mode dontAsk`),
  };
}

function weigh(call: PolicyCall, mode: PermissionMode, judged: Judged): Decision {
  const { subject, deny, breakpoint, ask } = judged;
  const { risk, opaque, isUnreadable } = subject;
  const decision = (type: Decision["type"], permission: Permission, reason: string): Decision => ({
    type,
    permission,
    risk,
    reason,
  });
  const asksBefore = (hit: Hit) =>
    `The rule "${hit.by}" asks before ${partOf(hit, call)}${because(risk.why)}.`;
  const byMode: Permission = { layer: "mode", by: `mode ${mode}` };

  if (deny?.holds === "yes") {
    return decision(
      "deny",
      byRule(deny),
      refusal(call, `the rule "${deny.by}" forbids ${partOf(deny, call)}`),
    );
  }
  if (breakpoint !== null) {
    const reason = `${call.name} is always asked about before it starts (${breakpoint.by}).`;
    return { ...decision("ask", byRule(breakpoint), reason), isBreakpoint: true };
  }
  if (mode === "plan" && (risk.reversibility !== "none" || opaque.length > 0)) {
    const why = because([...new Set([...risk.why, ...opaque])]);
    return decision(
      "deny",
      byMode,
      refusal(call, `in the mode plan nothing may be changed${why}. Look, and write down what you would do`),
    );
  }
  if (deny !== null) {
    const unclear = `It cannot be seen whether the rule "${deny.by}" forbids ${partOf(deny, call)}${because(opaque)}.`;
    // What is certain comes first. That asks anyway, but not in every mode, so that the other one decides.
    const isAsked = ask?.holds === "yes" && mode !== "bypass";
    return decision("ask", byRule(deny), isAsked ? `${asksBefore(ask)} ${unclear}` : unclear);
  }
  if (ask !== null && mode !== "bypass") return decision("ask", byRule(ask), asksBefore(ask));
  if (mode === "bypass") return decision("allow", byMode, "");
  const allowedBy = whatAllows(mode, judged);
  if (allowedBy !== null) {
    return decision(
      "allow",
      allowedBy.length > 0 ? { layer: "rules", by: allowedBy.join(", ") } : byMode,
      "",
    );
  }
  const why = isUnreadable ? opaque : [...openParts(mode, judged), ...opaque];
  const reason = `No rule allows ${call.name} to do this by itself${because(why.length > 0 ? why : risk.why)}.`;
  return decision(mode === "auto" && !isUnreadable ? "classify" : "ask", byMode, reason);
}

/** The rules by which every part may go; empty: the mode alone is enough; null: a part is left. */
function whatAllows(mode: PermissionMode, { subject, allowed, allowsAll }: Judged): readonly string[] | null {
  if (allowsAll !== null) {
    return subject.risk.reversibility === "none" && subject.opaque.length === 0 ? [] : [allowsAll];
  }
  if (subject.opaque.length > 0) return null;
  const rules = new Set<string>();
  for (const [i, part] of subject.parts.entries()) {
    if (goesInMode(mode, part.risk)) continue;
    const by = allowed[i] ?? null;
    if (by === null) return null;
    rules.add(by);
  }
  return [...rules];
}

function openParts(mode: PermissionMode, { subject, allowed }: Judged): readonly string[] {
  return subject.parts.flatMap((part, i) => {
    if (goesInMode(mode, part.risk) || (allowed[i] ?? null) !== null) return [];
    const why = part.risk.why.join("; ");
    return part.type === "call" ? [why] : [`"${part.text}": ${why}`];
  });
}

function byRule({ by }: Hit): Permission {
  return { layer: "rules", by };
}

function partOf({ part }: Hit, { name }: PolicyCall): string {
  return part === null || part.type === "call" ? name : `"${part.text}"`;
}

function because(why: readonly string[]): string {
  return why.length === 0 ? "" : `: ${why.slice(0, 3).join("; ")}${why.length > 3 ? "; and more" : ""}`;
}

function refusal({ name }: PolicyCall, why: string): string {
  return `${name} was not started: ${why}. Do not try it in another way; do without it, or say what you cannot do.`;
}
