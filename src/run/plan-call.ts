import type { Agent } from "../agents/agent.ts";
import { resolveCall, toolNamed } from "../context/find-tools.ts";
import { errorMessage } from "../lib/errors.ts";
import { nearest } from "../lib/json.ts";
import { FIND_TOOLS } from "../log/call-tool.ts";
import type { HookDecided } from "../log/entry.ts";
import { isSteered, type OpenCall, type RunState, type SessionState } from "../log/state.ts";
import type { Decision } from "../permissions/policy.ts";
import { unknownText } from "../tools/execute.ts";
import type { ParsedInput, Tool } from "../tools/tool.ts";
import { vetoOf } from "./hooks.ts";

/** What is to be done about one call that has no result. */
export type CallPlan =
  /** Start it: for the first time (`attempt` 1), or again because that is harmless for its effect. */
  | {
      readonly type: "run";
      readonly call: OpenCall;
      readonly tool: Tool;
      readonly input: unknown;
      readonly attempt: number;
    }
  /** It had started when its node died: ask the tool what became of it. */
  | { readonly type: "reconcile"; readonly call: OpenCall; readonly tool: Tool; readonly input: unknown }
  /** It gets its result without being started. */
  | {
      readonly type: "finish";
      readonly call: OpenCall;
      readonly outcome: "invalid" | "denied" | "cancelled" | "unknown";
      readonly text: string;
    };

/** A run that is taken up this often without getting any further kills whoever does it. */
const MAX_RESUMES = 20;

export function isCrashLooping({ resumes }: RunState): boolean {
  return resumes >= MAX_RESUMES;
}

/** @pure */
export function planCall(called: OpenCall, state: SessionState, agent: Agent, run: RunState): CallPlan {
  const { name, input } = resolveCall(called);
  const call = { ...called, name, input: called.amended === null ? input : called.amended.input };
  const tool = toolNamed(call.name, agent);
  if (call.started !== null) return planRecovery(call, call.started, tool, run);
  if (run.stopRequested || isCrashLooping(run)) {
    return { type: "finish", call, outcome: "cancelled", text: "Not started: the run was stopped." };
  }
  const veto = vetoOf({ point: "beforeTool", subject: call.callId }, state);
  if (veto !== undefined) return { type: "finish", call, outcome: "denied", text: vetoText(call.name, veto) };
  if (run.ending !== null) {
    return { type: "finish", call, outcome: "cancelled", text: "Not started: a hook has ended the run." };
  }
  if (isSteered(state)) {
    const text = "Not started: the user has sent a message meanwhile. Read it before you go on.";
    return { type: "finish", call, outcome: "cancelled", text };
  }
  if (tool === undefined) {
    return { type: "finish", call, outcome: "invalid", text: unknownToolText(call.name, agent) };
  }
  if (call.malformed !== undefined) {
    const text = `The arguments of ${call.name} were not valid JSON, so it was not started. Send them again as one JSON object.`;
    return { type: "finish", call, outcome: "invalid", text };
  }
  const parsed = parse(tool, call.input);
  if (!parsed.ok) {
    const text = `The arguments do not fit ${call.name}, so it was not started:\n${parsed.complaint}`;
    return { type: "finish", call, outcome: "invalid", text };
  }
  const decision = decide(tool, parsed.input, agent);
  return decision.type === "deny"
    ? { type: "finish", call, outcome: "denied", text: decision.reason }
    : { type: "run", call, tool, input: parsed.input, attempt: 1 };
}

/** What shows the model its own tools needs no rule: what it finds does. */
function decide({ name, effect }: Tool, input: unknown, { policy }: Agent): Decision {
  return name === FIND_TOOLS ? { type: "allow" } : policy({ name, input, effect });
}

function vetoText(name: string, { hook, reason = "it gave no reason" }: HookDecided): string {
  return `${name} was not started: the hook "${hook}" does not allow it (${reason}). Do not try it again in another way; say what you cannot do.`;
}

/** Names a few that could be meant instead of all: there may be hundreds. */
function unknownToolText(name: string, agent: Agent): string {
  const names = [...agent.tools.keys()];
  const near = nearest(name, names);
  const hint = near === undefined ? `Tools: ${names.slice(0, 40).join(", ")}.` : `Did you mean "${near}"?`;
  return `There is no tool named "${name}". ${hint}`;
}

/**
 * The table of docs/design.md, *Effects*. What counts is the effect that was written down when the call started: the tool
 * may have been declared otherwise since.
 */
function planRecovery(
  call: OpenCall,
  started: NonNullable<OpenCall["started"]>,
  tool: Tool | undefined,
  run: RunState,
): CallPlan {
  const unknown = (why: string): CallPlan => ({
    type: "finish",
    call,
    outcome: "unknown",
    text: unknownText(call.name, why),
  });
  const parsed = tool && parse(tool, call.input);
  if (tool === undefined || parsed === undefined || !parsed.ok) {
    return unknown("the tool is not available in the same form any more");
  }
  if (isCrashLooping(run)) return unknown("whoever asked what became of it was ended, too");
  const { input } = parsed;
  switch (started.effect) {
    case "readonly":
    case "idempotent":
    case "keyed":
      return run.stopRequested
        ? {
            type: "finish",
            call,
            outcome: "cancelled",
            text: "Ended before its result was known: the run was stopped.",
          }
        : { type: "run", call, tool, input, attempt: started.attempt + 1 };
    case "reconcile":
      return tool.reconcile === undefined
        ? unknown("the tool cannot be asked what became of it any more")
        : { type: "reconcile", call, tool, input };
    case "once":
      return unknown("it must not be repeated without knowing");
  }
}

/** A tool of a user that throws here (an asynchronous schema, for example) costs its own calls only. */
function parse(tool: Tool, input: unknown): ParsedInput {
  try {
    return tool.parse(input);
  } catch (error) {
    return { ok: false, complaint: `They could not be checked: ${errorMessage(error)}` };
  }
}
