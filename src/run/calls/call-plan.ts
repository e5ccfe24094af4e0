import type { Agent } from "../../agents/agent.ts";
import { resolveCall, toolNamed } from "../../context/find-tools.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Permission } from "../../log/entry.ts";
import type { AddedRule, OpenCall, RunState, SessionState } from "../../log/state.ts";
import type { Decision } from "../../permissions/policy.ts";
import type { ParsedInput, Tool } from "../../tools/tool.ts";

/** What is to be done about one call that has no result. */
export type CallPlan =
  /** Start it: for the first time (`attempt` 1), or again because that is harmless for its effect. */
  | {
      readonly type: "run";
      readonly call: OpenCall;
      readonly tool: Tool;
      readonly input: unknown;
      readonly attempt: number;
      readonly permission: Permission;
    }
  /** It had started when its node died: ask the tool what became of it. */
  | {
      readonly type: "reconcile";
      readonly call: OpenCall;
      readonly tool: Tool;
      readonly input: unknown;
      /** Why it may not begin, should it turn out that it has not; null where it may. */
      readonly denied: string | null;
      readonly permission: Permission;
    }
  /** A classifier, then perhaps a person, decides whether it may start. */
  | {
      readonly type: "ask";
      readonly whom: "classifier" | "person";
      readonly call: OpenCall;
      readonly tool: Tool;
      readonly input: unknown;
      readonly binding: string;
      readonly decision: Decision;
    }
  /** A person decides what became, or is to become, of a call of which nobody knows it. */
  | {
      readonly type: "askOutcome";
      readonly call: OpenCall;
      readonly why: string;
    }
  /** It waits for a person's answer. */
  | { readonly type: "wait"; readonly call: OpenCall }
  /** It gets its result without being started. */
  | {
      readonly type: "finish";
      readonly call: OpenCall;
      readonly outcome: "invalid" | "denied" | "expired" | "answered" | "cancelled" | "unknown";
      readonly text: string;
      /** Which layer refused it, or answered in its place. */
      readonly permission?: Permission;
    };

/** What a plan depends on besides the call. */
export interface Situation {
  readonly state: SessionState;
  readonly run: RunState;
  readonly agent: Agent;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Rules for all sessions of the agent that people have made while they answered. */
  readonly added: readonly AddedRule[];
}

/** A run that is taken up this often without getting any further kills whoever does it. */
const MAX_RESUMES = 20;

export function isCrashLooping({ resumes }: RunState): boolean {
  return resumes >= MAX_RESUMES;
}

/** It is to come to its end: nothing new begins, and nobody is asked. */
export function isEnding({ stopRequested, ending }: RunState): boolean {
  return stopRequested || ending !== null;
}

/**
 * Whether a call may run beside others of its answer: it changes nothing, or its tool says that what it changes is its own
 * affair. Any other call waits for those before it, and those behind it wait for it. Counts as what it was started as.
 * @pure
 */
export function isIndependent(call: OpenCall, agent: Agent): boolean {
  const tool = toolNamed(resolveCall(call).name, agent);
  return (call.started?.effect ?? tool?.effect) === "readonly" || tool?.parallel === true;
}

export function refused(call: OpenCall, text: string, permission: Permission): CallPlan {
  return { type: "finish", call, outcome: "denied", text, permission };
}

/** A tool of a user that throws here (an asynchronous schema, for example) costs its own calls only. */
export function parseInput(tool: Tool, input: unknown): ParsedInput {
  try {
    return tool.parse(input);
  } catch (error) {
    return { ok: false, complaint: `They could not be checked: ${errorMessage(error)}` };
  }
}
