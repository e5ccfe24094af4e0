import type { Agent } from "../../agents/agent.ts";
import { errorMessage } from "../../lib/errors.ts";
import { sha256 } from "../../lib/ids.ts";
import { canonicalJson } from "../../lib/json.ts";
import { FIND_TOOLS } from "../../log/call-tool.ts";
import type { Permission, PermissionMode, Risk } from "../../log/entry.ts";
import type { AddedRule, Approval, OpenCall, RunState, SessionState } from "../../log/state.ts";
import type {
  Decision,
  DeclaredRisk,
  PolicyCall,
  PolicySituation,
  RuleSet,
} from "../../permissions/policy.ts";
import type { Tool } from "../../tools/tool.ts";

/** What counts besides the agent's own rules: the mode of the session, rules of its users, and those that people have added. */
export function situationOf(
  state: SessionState,
  { actors }: Pick<RunState, "actors">,
  agent: Agent,
  added: readonly AddedRule[],
): PolicySituation {
  const own = ruleSet("this session", state.rules, "session");
  const ofAgent = ruleSet(`all sessions of ${agent.name}`, added, "agent");
  return {
    mode: modeOf(state, agent),
    rules: [
      ...rulesOfUsers(actors, agent),
      ...(own === null ? [] : [own]),
      ...(ofAgent === null ? [] : [ofAgent]),
    ],
  };
}

/** Nobody gets into `bypass` by a log alone: whoever starts the process has to allow it. @pure */
export function modeOf({ mode }: Pick<SessionState, "mode">, { permissions }: Agent): PermissionMode {
  const wanted = mode ?? permissions.mode;
  return wanted === "bypass" && !permissions.mayBypass ? "default" : wanted;
}

/** What is forbidden to one of them, or has to be asked, holds for all; what is allowed has to be allowed to each. */
function rulesOfUsers(actors: readonly string[], { permissions: { users } }: Agent): readonly RuleSet[] {
  const sets = actors.flatMap((actor) => users.get(actor) ?? []);
  return actors.length <= 1 ? sets : sets.map((set) => ({ ...set, allow: [] }));
}

const ruleSets = new WeakMap<readonly AddedRule[], RuleSet>();

/** The same one for the same list, so that a policy reads its rules once and not for each call. Null where none has the scope. */
function ruleSet(source: string, rules: readonly AddedRule[], scope: AddedRule["scope"]): RuleSet | null {
  const known = ruleSets.get(rules);
  if (known !== undefined) return known;
  const meant = rules.filter((each) => each.scope === scope);
  if (meant.length === 0) return null;
  const of = (list: AddedRule["list"]) => meant.flatMap((each) => (each.list === list ? [each.rule] : []));
  const set = { source, deny: of("deny"), ask: of("ask"), allow: of("allow") };
  ruleSets.set(rules, set);
  return set;
}

/** What the layers of mode and rules say. What shows the model its own tools needs no rule: what it finds does. */
export function decide(tool: Tool, input: unknown, { policy }: Agent, situation: PolicySituation): Decision {
  return tool.name === FIND_TOOLS ? FINDING : policy(policyCall(tool, input), situation);
}

export function policyCall(tool: Tool, input: unknown): PolicyCall {
  const { name, effect } = tool;
  const risk = declaredRisk(tool, input);
  return { name, input, effect, ...(risk === undefined ? {} : { risk }) };
}

/** A tool of a user that throws here (on arguments that do not fit any more, for example) must not end the run, nor go by itself. */
function declaredRisk({ risk }: Tool, input: unknown): DeclaredRisk | undefined {
  if (typeof risk !== "function") return risk;
  try {
    return risk(input);
  } catch (error) {
    const why = [`its tool could not say what it does: ${errorMessage(error)}`];
    return { reversibility: "irreversible", reach: "outside", why };
  }
}

const NO_RISK: Risk = { reversibility: "none", reach: "session", why: [] };

const FINDING: Decision = {
  type: "allow",
  permission: { layer: "mode", by: "it only shows the agent's own tools" },
  risk: NO_RISK,
  reason: "",
};

/** What an approval is bound to: the tool as it is declared, the arguments, and the agent's rules. 32 hexadecimal digits. */
export function bindingOf(tool: Tool, input: unknown, { permissions }: Agent): string {
  const { name, effect, inputSchema } = tool;
  return sha256(canonicalJson({ name, effect, inputSchema, input, policy: permissions.fingerprint }), 32);
}

/** Whether what a person has approved, or written, is exactly what would run now. */
export function holds(approval: Approval, call: OpenCall, tool: Tool, agent: Agent): boolean {
  const { answer, asked, binding } = approval;
  if (binding !== bindingOf(tool, asked, agent)) return false;
  const approved = answer.action === "edit" ? answer.input : asked;
  return canonicalJson(call.input) === canonicalJson(approved);
}

export function permissionOf({ answer, actor }: Approval): Permission {
  if (answer.action === "expired") return { layer: "person", by: "nobody in time (onExpire: approve)" };
  return { layer: "person", by: actor ?? "somebody" };
}
