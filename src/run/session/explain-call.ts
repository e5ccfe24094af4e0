import type { Agent } from "../../agents/agent.ts";
import { toolNamed } from "../../context/find-tools.ts";
import { errorMessage } from "../../lib/errors.ts";
import { FIND_TOOLS } from "../../log/call-tool.ts";
import type { Entry, Permission, PermissionLayer, PermissionMode } from "../../log/entry.ts";
import type { AddedRule, RunState, SessionState } from "../../log/state.ts";
import { type ExplainedPart, explainDecision, type Saying } from "../../permissions/explain.ts";
import type { Decision, PolicySituation } from "../../permissions/policy.ts";
import { matchesPattern } from "../../permissions/rules.ts";
import type { ParsedInput, Tool } from "../../tools/tool.ts";
import { decide, policyCall, situationOf } from "../calls/permit.ts";
import { type PastCall, pastCall, permissionIn } from "./past-call.ts";

/** Why a call may start, or may not: layer by layer, as things are now, and, of a call that was made, what really happened. */

export interface CallExplanation {
  readonly tool: string;
  readonly input: unknown;
  /** The session's, or the agent's. */
  readonly mode: PermissionMode;
  readonly decision: Verdict;
  /** In the order in which they are asked. */
  readonly layers: readonly LayerSaying[];
  /** The commands and redirections of a shell line; else the call itself. */
  readonly parts: readonly ExplainedPart[];
  /** Null for a call that was not made. */
  readonly past: PastCall | null;
  /** How today's decision differs from the one of then, in words; null where it does not, or nobody can tell. */
  readonly changed: string | null;
}

/** What mode and rules come to; `invalid`: they are not asked, because the arguments do not fit or there is no such tool. */
export type Verdict =
  | Decision
  | { readonly type: "invalid"; readonly permission: Permission; readonly reason: string };

export interface LayerSaying {
  readonly layer: PermissionLayer;
  /** The rule, mode, hook or person; a list of rules where none of it is about the call. */
  readonly by: string;
  /** `pass`: it has nothing against it. `wouldBeAsked`: what it says is known only when it is asked. */
  readonly says: Saying["says"] | "pass" | "change" | "wouldBeAsked";
  /** For people. */
  readonly reason: string;
}

export interface CallQuestion {
  readonly tool: string;
  readonly input: unknown;
}

export interface ExplainSituation {
  readonly agent: Agent;
  readonly state: SessionState;
  /** Rules for all sessions of the agent that people have made. */
  readonly added: readonly AddedRule[];
}

/** A call that was not made: what would become of it now. @pure */
export function explainCall(
  { tool: name, input }: CallQuestion,
  situation: ExplainSituation,
): CallExplanation {
  return explain(name, input, situation, null);
}

/** A call that was made. Null where the entries have none with this id. @pure */
export function explainPastCall(
  callId: string,
  entries: readonly Entry[],
  situation: ExplainSituation,
): CallExplanation | null {
  const past = pastCall(callId, entries);
  return past === null ? null : explain(past.tool, past.input, situation, past);
}

function explain(
  name: string,
  input: unknown,
  { agent, state, added }: ExplainSituation,
  past: PastCall | null,
): CallExplanation {
  const run: Pick<RunState, "actors"> = past ?? state.run ?? { actors: [] };
  const situation = situationOf(state, run, agent, added);
  const found = toolNamed(name, agent);
  const misfit = found === undefined ? `the agent has no tool "${name}"` : misfitOf(found, input);
  const about = { tool: name, input, mode: situation.mode, past };
  if (found === undefined || misfit !== null) {
    const reason = misfit ?? "";
    const layers = [{ layer: "validation", by: "tool and arguments", says: "deny", reason }] as const;
    const permission = { layer: "validation", by: "tool and arguments" } as const;
    return { ...about, decision: { type: "invalid", permission, reason }, layers, parts: [], changed: null };
  }
  const { decision, sayings, parts } = explainRules(found, parsedInput(found, input), situation, agent);
  const layers = [
    { layer: "validation", by: "tool and arguments", says: "pass", reason: "the arguments fit" } as const,
    ...sayings,
    ...hookSayings(name, agent, past),
    ...laterSayings(decision, past),
  ];
  return { ...about, decision, layers, parts, changed: past === null ? null : changeOf(past, decision) };
}

/** The search for tools is not a matter of rules (`decide`). */
function explainRules(
  tool: Tool,
  input: unknown,
  situation: PolicySituation,
  agent: Agent,
): ReturnType<typeof explainDecision> {
  if (tool.name !== FIND_TOOLS) {
    return explainDecision(policyCall(tool, input), situation, agent.permissions.own);
  }
  const decision = decide(tool, input, agent, situation);
  const { by } = decision.permission;
  const saying = { layer: "mode", by, says: "allow", reason: by } as const;
  return { decision, sayings: [saying], parts: [] };
}

function misfitOf(tool: Tool, input: unknown): string | null {
  const parsed = parse(tool, input);
  return parsed.ok ? null : `the arguments do not fit: ${parsed.complaint}`;
}

function parsedInput(tool: Tool, input: unknown): unknown {
  const parsed = parse(tool, input);
  return parsed.ok ? parsed.input : input;
}

function parse(tool: Tool, input: unknown): ParsedInput {
  try {
    return tool.parse(input);
  } catch (error) {
    return { ok: false, complaint: errorMessage(error) };
  }
}

/** What hooks have said then, or which would be asked. */
function hookSayings(name: string, { hooks }: Agent, past: PastCall | null): readonly LayerSaying[] {
  const said = (past?.events ?? []).flatMap((event): readonly LayerSaying[] => {
    if (event.type !== "hookDecided") return [];
    const { hook, decision, blocks, reason = "" } = event;
    const says = blocks || decision === "veto" || decision === "end" ? "deny" : HOOK_SAYS[decision];
    return [{ layer: "hook", by: hook, says, reason: reason === "" ? decision : reason }];
  });
  const names = new Set(said.map(({ by }) => by));
  const others = hooks.flatMap(({ name: by, point, tools }): readonly LayerSaying[] => {
    const concerns = tools === null || tools.some((pattern) => matchesPattern(name, pattern));
    if (point !== "beforeTool" || !concerns || names.has(by)) return [];
    return [{ layer: "hook", by, says: "wouldBeAsked", reason: "what it says is known when it is asked" }];
  });
  return [...said, ...others];
}

const HOOK_SAYS = {
  allow: "pass",
  change: "change",
  ask: "ask",
  failed: "pass",
  timedOut: "pass",
} as const;

/** The classifier and people are asked only where the layers before leave it open. */
function laterSayings({ type }: Decision, past: PastCall | null): readonly LayerSaying[] {
  const classified = past?.events.findLast((event) => event.type === "callClassified");
  const resolved = past?.events.findLast((event) => event.type === "interruptResolved");
  return [
    classified === undefined
      ? {
          layer: "classifier",
          by: "classifier",
          says: type === "classify" ? "wouldBeAsked" : "nothing",
          reason: type === "classify" ? "rules leave it open, in the mode auto" : "it is not asked",
        }
      : { layer: "classifier", by: "classifier", says: classified.decision, reason: classified.reason },
    resolved === undefined
      ? {
          layer: "person",
          by: "a person",
          says: type === "ask" ? "wouldBeAsked" : "nothing",
          reason: type === "ask" ? "nothing before lets it go, or forbids it" : personReason(type),
        }
      : {
          layer: "person",
          by: resolved.actor ?? "nobody in particular",
          says: PERSON_SAYS.get(resolved.answer.action) ?? "deny",
          reason: resolved.answer.action,
        },
  ];
}

function personReason(type: "allow" | "deny" | "classify"): string {
  return type === "classify" ? "asked where the classifier is unsure" : "nobody is asked";
}

const PERSON_SAYS: ReadonlyMap<string, LayerSaying["says"]> = new Map([
  ["approve", "allow"],
  ["edit", "change"],
  ["respond", "nothing"],
  ["stale", "nothing"],
  ["withdrawn", "nothing"],
] as const);

/** Only what mode and rules have decided then can be compared with what they decide now. */
function changeOf(past: PastCall, { type: now }: Decision): string | null {
  const then = thenType(past);
  if (then === null || then === now || (then === "ask" && now === "classify")) return null;
  return `${WAS[then]} then; today's mode and rules ${WOULD[now]}`;
}

function thenType({ events }: PastCall): Decision["type"] | null {
  const isAsked = events.some(({ type }) => type === "interrupted");
  const started = events.find((event) => event.type === "toolStarted");
  const permission =
    started === undefined
      ? permissionIn(events.find((event) => event.type === "toolFinished")?.details)
      : (started.permission ?? null);
  switch (permission?.layer) {
    case "mode":
    case "rules":
      return started === undefined ? "deny" : "allow";
    case "classifier":
      return "classify";
    case "person":
      return events.some(({ type }) => type === "callClassified") ? "classify" : "ask";
    default:
      return isAsked ? "ask" : null;
  }
}

const WAS = {
  allow: "it was allowed",
  deny: "it was denied",
  ask: "a person was asked",
  classify: "the classifier was asked",
} as const satisfies Record<Decision["type"], string>;

const WOULD = {
  allow: "allow it",
  deny: "deny it",
  ask: "ask a person",
  classify: "ask the classifier",
} as const satisfies Record<Decision["type"], string>;
