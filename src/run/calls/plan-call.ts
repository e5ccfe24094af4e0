import { resolveCall, toolNamed } from "../../context/find-tools.ts";
import type { Permission } from "../../log/entry.ts";
import { isSteered, type OpenCall, questionAbout } from "../../log/state.ts";
import { vetoOf } from "../hooks.ts";
import { isTimeUp } from "../time-limit.ts";
import {
  type CallPlan,
  isCrashLooping,
  isEnding,
  isIndependent,
  parseInput,
  refused,
  type Situation,
} from "./call-plan.ts";
import { failedBeforeText, misfitText, NOT_STARTED, unknownToolText, vetoText } from "./call-text.ts";
import { permitCall } from "./permit-call.ts";
import { planRecovery } from "./plan-recovery.ts";

/**
 * Asked right before a call would start, since much can happen while it waits for the calls before it. The layers, none of which
 * trusts another: validation, mode and rules, hooks, a classifier in mode `auto`, a person. docs/permissions.md
 * @pure
 */
export function planCall(called: OpenCall, situation: Situation): CallPlan {
  const { state, run, agent, now } = situation;
  const { name, input } = resolveCall(called);
  const call = { ...called, name, input: called.amended === null ? input : called.amended.input };
  const tool = toolNamed(call.name, agent);
  const cancelled = (text: string): CallPlan => ({ type: "finish", call, outcome: "cancelled", text });
  if (call.suspended && questionAbout(call.callId, run) !== undefined && !isEnding(run)) {
    return { type: "wait", call };
  }
  // What has done nothing but ask is decided about as if it had never started.
  if (call.started !== null && !call.suspended) return planRecovery(call, call.started, tool, situation);
  if (run.stopRequested || isCrashLooping(run)) return cancelled(NOT_STARTED.stopped);
  const veto = vetoOf({ point: "beforeTool", subject: call.callId }, state);
  if (veto !== undefined) return refused(call, vetoText(call.name, veto), { layer: "hook", by: veto.hook });
  if (run.ending === "abandoned") {
    return { type: "finish", call, outcome: "expired", text: NOT_STARTED.abandoned };
  }
  if (run.ending !== null) return cancelled(NOT_STARTED.hook);
  if (isTimeUp(run, agent, now)) return cancelled(NOT_STARTED.timeUp);
  // What a person has been asked about is not skipped because another one has said something meanwhile.
  const isAsked = call.suspended || call.approval !== null || questionAbout(call.callId, run) !== undefined;
  if (isSteered(state) && !isAsked) return cancelled(NOT_STARTED.steered);
  if (tool === undefined) return invalid(call, unknownToolText(call.name, agent));
  if (call.malformed !== undefined) {
    return invalid(
      call,
      `The arguments of ${call.name} were not valid JSON, so it was not started. Send them again as one JSON object.`,
    );
  }
  const parsed = parseInput(tool, call.input);
  if (!parsed.ok) return invalid(call, misfitText(call, parsed.complaint, state));
  const failed = failedBefore(call, situation, isAsked);
  if (failed !== undefined) return cancelled(failedBeforeText(failed));
  return permitCall(call, tool, parsed.input, situation);
}

function invalid(call: OpenCall, text: string): CallPlan {
  return { type: "finish", call, outcome: "invalid", text, permission: VALIDATION };
}

const VALIDATION: Permission = { layer: "validation", by: "tool and arguments" };

/**
 * The call before this one on whose success it may rely, and that had none: one that writes (of an unknown tool nobody can
 * say that it does not), however it came to nothing. Who writes "build, then publish" into one answer must not get the second
 * without the first.
 */
function failedBefore(
  { callId }: OpenCall,
  { state: { openCalls }, agent }: Situation,
  isAsked: boolean,
): OpenCall | undefined {
  const index = openCalls.findIndex((call) => call.callId === callId);
  const before = index === -1 ? openCalls : openCalls.slice(0, index);
  return before.find(
    (call) =>
      call.result?.isError === true &&
      !isIndependent(call, agent) &&
      // Whoever has been asked about both has decided about this one, too.
      !(isAsked && call.approval !== null && call.started === null),
  );
}
