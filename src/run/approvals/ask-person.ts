import type { Agent } from "../../agents/agent.ts";
import { newId } from "../../lib/ids.ts";
import { raceSignal } from "../../lib/streams.ts";
import type { AskedCall, CallPreview, InterruptRequest, Risk } from "../../log/entry.ts";
import type { OpenCall } from "../../log/state.ts";
import { riskOf } from "../../permissions/risk.ts";
import type { Question, Tool } from "../../tools/tool.ts";
import type { CallPlan } from "../calls/call-plan.ts";
import { policyCall } from "../calls/permit.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { termsOf, termsOfQuestion } from "./terms.ts";

/** How long a tool may take to show what a call would change, before a person is asked without it. */
const PREVIEW_MS = 10_000;
/** More than a person reads. */
const MAX_PREVIEW = 64 * 1024;

/** Asks whether a call may start: appends `interrupted`, or nothing when the run is stopped meanwhile. */
export async function askPerson(
  { call, tool, input, binding, decision }: Extract<CallPlan, { type: "ask" }>,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
  changedSince = false,
): Promise<void> {
  const preview = await previewOf(tool, input, writer, ports, control);
  if (control.cancelSignal().aborted) return;
  const { permission, risk, reason, isBreakpoint } = decision;
  const why = changedSince ? `what it would change has changed since it was asked about. ${reason}` : reason;
  ask(writer, {
    kind: isBreakpoint ? "breakpoint" : "approval",
    message: `${agent.name} wants to run ${call.name}: ${why}`,
    call: asked(call, risk),
    permission,
    binding,
    ...(preview === null ? {} : { preview }),
    ...(changedSince ? { changedSince } : {}),
    ...termsOf(agent, currentRun(writer), call, ports.clock.now()),
  });
}

/** Asks what became of a call of which nobody knows it. */
export function askOutcome(
  { call, why }: Extract<CallPlan, { type: "askOutcome" }>,
  writer: SessionWriter,
  agent: Agent,
  ports: Pick<LoopPorts, "clock">,
): void {
  ask(writer, {
    kind: "outcome",
    message: `Nobody knows whether ${call.name} happened: it had been started when the runtime was interrupted, and ${why}. Look, then say: it is done; try it again; or leave it.`,
    call: asked(call, riskOfCall(call, agent)),
    ...termsOf(agent, currentRun(writer), call, ports.clock.now()),
  });
}

/** Asks what a tool that runs wants to know. */
export function askForTool(
  call: OpenCall,
  { message, schema, url }: Question,
  writer: SessionWriter,
  agent: Agent,
  ports: Pick<LoopPorts, "clock">,
): void {
  ask(writer, {
    kind: url === undefined ? "question" : "auth",
    message,
    call: asked(call, riskOfCall(call, agent)),
    ...(schema === undefined ? {} : { schema }),
    ...(url === undefined ? {} : { url }),
    ...termsOfQuestion(agent, currentRun(writer), call, ports.clock.now()),
  });
}

function ask(writer: SessionWriter, request: InterruptRequest): void {
  const { id: runId } = currentRun(writer);
  writer.append({ type: "interrupted", runId, interruptId: newId("int"), request });
}

function asked({ callId, name, input }: OpenCall, risk: Risk): AskedCall {
  return { callId, tool: name, input, risk };
}

function riskOfCall({ name, input }: OpenCall, agent: Agent): Risk {
  const tool = agent.tools.get(name);
  return tool === undefined
    ? { reversibility: "hard", reach: "outside", why: ["nothing is known of this tool"] }
    : riskOf(policyCall(tool, input));
}

/** What a call would change, as far as its tool can tell; a tool that cannot is no reason not to ask. */
export async function previewOf(
  tool: Tool,
  input: unknown,
  writer: SessionWriter,
  ports: LoopPorts,
  control: LoopControl,
): Promise<CallPreview | null> {
  if (tool.preview === undefined) return null;
  const { sessionId } = writer.lease;
  const signal = AbortSignal.any([control.cancelSignal(), AbortSignal.timeout(PREVIEW_MS)]);
  try {
    const context = { sessionId, signal, sandbox: () => ports.sandbox(sessionId) };
    const preview = await raceSignal(tool.preview(input, context), signal, null);
    return preview === null ? null : { ...preview, text: preview.text.slice(0, MAX_PREVIEW) };
  } catch {
    return null;
  }
}
