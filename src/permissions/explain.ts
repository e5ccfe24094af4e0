import type { PermissionMode } from "../log/entry.ts";
import { goesInMode, type Hit, type Judged, judge, readRules } from "./judge.ts";
import type { Part } from "./parts.ts";
import type { Decision, PolicyCall, PolicySituation } from "./policy.ts";
import { decide, type OwnRules } from "./rules.ts";

/** What one layer says of a call, or of a part of it. In the order in which they are asked; the first that decides wins. */
export interface Saying {
  readonly layer: "mode" | "rules";
  /** The rule or mode: "deny: shell(rm *) (harness.json)", "mode plan". */
  readonly by: string;
  readonly says: Decision["type"] | "nothing";
  /** For people. */
  readonly reason: string;
}

export interface Explanation {
  readonly decision: Decision;
  readonly sayings: readonly Saying[];
  /** What the call consists of: the commands and redirections of a shell line; else the call itself. */
  readonly parts: readonly ExplainedPart[];
}

export interface ExplainedPart {
  readonly text: string;
  /** What lets it go: a rule, or the mode; null: nothing. */
  readonly allowedBy: string | null;
}

/** Why a call is decided as it is. @pure */
export function explainDecision(
  call: PolicyCall,
  { mode, rules }: PolicySituation,
  own: OwnRules,
): Explanation {
  const judged = judge(call, [{ ...own, source: "harness.json" }, ...rules].map(readRules));
  return {
    decision: decide(call, mode, judged),
    sayings: [
      hitSaying("deny", judged.deny),
      hitSaying("breakpoint", judged.breakpoint),
      planSaying(mode, judged),
      hitSaying("ask", judged.ask),
      ...allowSayings(mode, judged),
      modeSaying(mode, decide(call, mode, judged)),
    ],
    parts: judged.subject.parts.map((part, i) => ({
      text: part.text,
      allowedBy: allowedBy(part, judged.allowed[i] ?? judged.allowsAll, mode),
    })),
  };
}

function hitSaying(list: "deny" | "breakpoint" | "ask", hit: Hit | null): Saying {
  if (hit === null) {
    return {
      layer: "rules",
      by: `${list} rules`,
      says: "nothing",
      reason: `no ${list} rule is about this call`,
    };
  }
  const about = hit.part === null ? "the call" : `"${hit.part.text}"`;
  const isCertain = hit.holds === "yes";
  return {
    layer: "rules",
    by: hit.by,
    says: list === "deny" && isCertain ? "deny" : "ask",
    reason: isCertain ? `it is about ${about}` : `it cannot be seen whether it is about ${about}`,
  };
}

function planSaying(mode: PermissionMode, { subject: { risk, opaque } }: Judged): Saying {
  const changes = risk.reversibility !== "none" || opaque.length > 0;
  const says = mode === "plan" && changes ? "deny" : "nothing";
  const reason =
    says === "deny" ? "it may change something" : mode === "plan" ? "it changes nothing" : "it is not plan";
  return { layer: "mode", by: `mode ${mode}`, says, reason };
}

function allowSayings(mode: PermissionMode, { subject, allowed, allowsAll }: Judged): readonly Saying[] {
  if (allowsAll !== null) {
    return [{ layer: "rules", by: allowsAll, says: "allow", reason: "it allows every call of this tool" }];
  }
  const opaque = subject.opaque.map(
    (reason): Saying => ({
      layer: "rules",
      by: "allow rules",
      says: "nothing",
      reason: `none can count: ${reason}`,
    }),
  );
  const parts = subject.parts.flatMap((part, i): readonly Saying[] => {
    const by = allowed[i] ?? null;
    if (by !== null) return [{ layer: "rules", by, says: "allow", reason: `it is about "${part.text}"` }];
    if (goesInMode(mode, part.risk)) return [];
    return [{ layer: "rules", by: "allow rules", says: "nothing", reason: `none is about "${part.text}"` }];
  });
  return [...opaque, ...parts];
}

function modeSaying(mode: PermissionMode, { risk, type, permission, reason }: Decision): Saying {
  const says = permission.layer === "mode" ? type : "nothing";
  const weight = `${risk.reversibility}, ${risk.reach}${risk.why.length > 0 ? ` (${risk.why.join("; ")})` : ""}`;
  return {
    layer: "mode",
    by: `mode ${mode}`,
    says,
    reason: reason === "" || says === "nothing" ? `risk: ${weight}` : reason,
  };
}

function allowedBy({ risk }: Part, rule: string | null, mode: PermissionMode): string | null {
  return rule ?? (goesInMode(mode, risk) ? `mode ${mode}` : null);
}
