import type { PermissionMode, Risk } from "../log/entry.ts";
import { matchesPattern } from "./match.ts";
import { allowsPart, concernsPart, isAboutShell } from "./part-rules.ts";
import { type Part, partsOf, type Subject } from "./parts.ts";
import type { PolicyCall, RuleSet } from "./policy.ts";
import { parseRule, type Rule, SHELL } from "./rule.ts";

/** The rules of one source, read. */
export interface ReadRules {
  readonly source: string;
  readonly deny: readonly SourcedRule[];
  readonly breakpoints: readonly SourcedRule[];
  readonly ask: readonly SourcedRule[];
  readonly allow: readonly SourcedRule[];
}

export interface SourcedRule {
  /** For people: "deny: shell(rm *) (harness.json)". */
  readonly by: string;
  /** null: it cannot be read, so that one which forbids may mean anything, and one which allows means nothing. */
  readonly rule: Rule | null;
}

/** A rule that holds, or may hold, and for which part of the call. */
export interface Hit {
  readonly by: string;
  readonly holds: "yes" | "maybe";
  /** The part it is about; null: the call as a whole. */
  readonly part: Part | null;
}

/** What all rules say of one call, before the mode weighs it. */
export interface Judged {
  readonly subject: Subject;
  readonly deny: Hit | null;
  readonly breakpoint: Hit | null;
  readonly ask: Hit | null;
  /** In the order of the call's parts: which rule allows each. */
  readonly allowed: readonly (string | null)[];
  /** A rule that allows every call of the tool, whatever it does. */
  readonly allowsAll: string | null;
}

export function readRules(set: RuleSet & { readonly breakpoints?: readonly string[] }): ReadRules {
  const read = (list: string, texts: readonly string[]) =>
    texts.map((text): SourcedRule => {
      const parsed = parseRule(text);
      return { by: `${list}: ${text} (${set.source})`, rule: parsed.ok ? parsed.rule : null };
    });
  return {
    source: set.source,
    deny: read("deny", set.deny),
    breakpoints: read("breakpoint", set.breakpoints ?? []),
    ask: read("ask", set.ask),
    allow: read("allow", set.allow),
  };
}

export function judge(call: PolicyCall, sets: readonly ReadRules[]): Judged {
  const subject = partsOf(call);
  const of = (list: "deny" | "breakpoints" | "ask" | "allow") => sets.flatMap((set) => set[list]);
  const allow = of("allow");
  const allowsAll = allow.find(({ rule }) => rule?.pattern === null && matchesPattern(call.name, rule.tool));
  const allowed = subject.parts.map(
    (part) => allow.find(({ rule }) => rule !== null && allowsPart(rule, call, part))?.by ?? null,
  );
  const named = subject.parts.map((part) =>
    allow.some(({ rule }) => rule?.pattern?.type === "command" && allowsPart(rule, call, part)),
  );
  const hit = (rules: readonly SourcedRule[]) => firstHit(rules, call, subject, named);
  return {
    subject,
    deny: hit(of("deny")),
    breakpoint: hit(of("breakpoints")),
    ask: hit(of("ask")),
    allowed,
    allowsAll: allowsAll?.by ?? null,
  };
}

/** The most certain one; of equals the first. */
function firstHit(
  rules: readonly SourcedRule[],
  call: PolicyCall,
  subject: Subject,
  named: readonly boolean[],
): Hit | null {
  let best: Hit | null = null;
  for (const { by, rule } of rules) {
    const found =
      rule === null ? ({ holds: "maybe", part: null } as const) : hitOf(rule, call, subject, named);
    if (found?.holds === "yes") return { by, ...found };
    if (found !== null) best ??= { by, ...found };
  }
  return best;
}

function hitOf(
  rule: Rule,
  call: PolicyCall,
  { parts, opaque }: Subject,
  named: readonly boolean[],
): Omit<Hit, "by"> | null {
  if (rule.pattern === null)
    return matchesPattern(call.name, rule.tool) ? { holds: "yes", part: null } : null;
  let maybe: Omit<Hit, "by"> | null = null;
  for (const [i, part] of parts.entries()) {
    const holds = concernsPart(rule, call, part);
    if (holds === "yes") return { holds, part };
    // What runs code that is not looked into may do what is forbidden, unless a rule names just this command.
    const isHidden = part.type === "command" && part.launches && named[i] !== true && isAboutShell(rule);
    if (holds === "maybe" || (isHidden && call.name === SHELL)) maybe ??= { holds: "maybe", part };
  }
  if (opaque.length > 0 && call.name === SHELL && isAboutShell(rule))
    maybe ??= { holds: "maybe", part: null };
  return maybe;
}

/** Whether the mode lets this go by itself, without a rule. */
export function goesInMode(mode: PermissionMode, { reversibility, reach }: Risk): boolean {
  if (reversibility === "none") return true;
  return mode === "acceptEdits" && reversibility === "undoable" && reach === "workspace";
}
