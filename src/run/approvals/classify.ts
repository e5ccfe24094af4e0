import type { Agent } from "../../agents/agent.ts";
import { estimateMessage, estimateText } from "../../context/tokens.ts";
import { raceSignal } from "../../lib/streams.ts";
import { noUsage } from "../../log/content.ts";
import type { CallClassified, ModelFailure } from "../../log/entry.ts";
import type { ModelRequest } from "../../models/model.ts";
import { isLostCall } from "../after-failure.ts";
import type { CallPlan } from "../calls/call-plan.ts";
import { knowledgeOf } from "../knowledge.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import { currentRun, type SessionWriter } from "../session-writer.ts";
import { ASSUMED_OUTPUT_TOKENS, budgetOf } from "../turn/budget.ts";
import { type Last, readToEnd } from "../turn/read-to-end.ts";
import { appendCall } from "../turn/record-call.ts";
import { readVerdict, unanswered } from "./read-verdict.ts";
import { classificationRequest } from "./rubric.ts";

/** What an entry says of a decision besides the call that it is about. */
type Classified = Omit<CallClassified, "type" | "runId" | "callId" | "binding">;

/**
 * Asks a model whether a call that rules leave open may start. Appends `callClassified`; before that `modelCalled`, and `modelFailed`
 * where nothing came of it. Whatever goes wrong means that a person is asked. When the run is stopped or abandoned meanwhile,
 * nothing more is appended, and the call is asked about anew by whoever goes on.
 *
 * Nothing else of the session may be under way: it has one request at a time, which is what its budgets rely on.
 */
export async function classify(
  plan: Extract<CallPlan, { type: "ask" }>,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<void> {
  const { call, binding } = plan;
  const known = writer.state.classified.get(binding);
  const classified =
    known === undefined
      ? await ask(plan, writer, agent, ports, control)
      : { ...FREE, decision: known.decision, reason: known.reason };
  if (classified === null) return;
  const { id: runId } = currentRun(writer);
  writer.append({ type: "callClassified", runId, callId: call.callId, binding, ...classified });
}

const FREE = { model: null, usage: noUsage, costUsd: 0, durationMs: 0 } as const;

async function ask(
  { call, tool, decision }: Extract<CallPlan, { type: "ask" }>,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
  control: LoopControl,
): Promise<Classified | null> {
  const question = { tool, input: call.input, decision };
  const request = classificationRequest(question, writer.state.said, agent, writer.lease.sessionId);
  if (request === null) return { ...FREE, ...unanswered("the arguments are too long to be checked") };
  const model = classifierOf(writer, agent);
  const recorded = await record(request, model, writer, agent, ports);
  if (recorded === "overBudget") {
    return { ...FREE, ...unanswered("the budget leaves no room to ask it") };
  }
  const cancel = control.cancelSignal();
  if (cancel.aborted) return null;
  const began = ports.clock.monotonic();
  const last = await readInTime({ ...request, ...recorded }, model, agent, ports, cancel);
  if (cancel.aborted) return null;
  const durationMs = Math.round(ports.clock.monotonic() - began);
  if (last.type === "failed") {
    noteFailure(last, { model, durationMs }, writer);
    return { ...FREE, ...unanswered(last.failure.message), model, durationMs };
  }
  const { usage } = last.answer;
  const costUsd = ports.price(agent, model, usage);
  return { ...readVerdict(last.answer), model, usage, costUsd, durationMs };
}

/** Its own, or the agent's: not one that the sender of a message can choose. Where that has been given up, the one in its place. */
function classifierOf(writer: SessionWriter, { permissions, model }: Agent): string {
  const { model: current, givenUp } = currentRun(writer);
  return permissions.classifier.model ?? (givenUp.includes(model.id) ? current : model.id);
}

/**
 * Appends `modelCalled` where budgets have room for it. Room is not waited for: a person can decide at once.
 * @returns what the answer is held to.
 */
async function record(
  request: ModelRequest,
  model: string,
  writer: SessionWriter,
  agent: Agent,
  ports: LoopPorts,
): Promise<Pick<ModelRequest, "maxOutputTokens"> | "overBudget"> {
  const { maxOutput } = ports.facts(agent, model);
  const wanted = request.maxOutputTokens ?? ASSUMED_OUTPUT_TOKENS;
  const outputTokens = Math.min(wanted, maxOutput ?? wanted);
  const inputTokens = Math.ceil(INPUT_MARGIN * inputOf(request));
  const run = { ...currentRun(writer), model };
  const known = knowledgeOf(agent, ports, writer.lease);
  const { exceeded, reservation } = budgetOf(writer.state, agent, run, known, {
    size: { inputTokens, outputTokens },
  });
  if (exceeded !== null) return "overBudget";
  const call = { runId: run.id, model, attempt: 1, purpose: "classification" } as const;
  if ((await appendCall(call, reservation, writer)) !== null) return "overBudget";
  return { maxOutputTokens: reservation?.maxOutputTokens ?? outputTokens };
}

/** What estimates are off. */
const INPUT_MARGIN = 1.25;

function inputOf({ system, messages }: ModelRequest): number {
  return messages.reduce((tokens, message) => tokens + estimateMessage(message), estimateText(system));
}

/** Not even a model that does not heed its signal takes longer. */
async function readInTime(
  request: ModelRequest,
  model: string,
  agent: Agent,
  ports: LoopPorts,
  cancel: AbortSignal,
): Promise<Last> {
  const { timeoutMs } = agent.permissions.classifier;
  const [late, done] = [new AbortController(), new AbortController()];
  const onTime = () => late.abort();
  ports.clock.sleep(timeoutMs, done.signal).then(onTime, () => {});
  const signal = AbortSignal.any([cancel, late.signal]);
  try {
    const last = await raceSignal(readToEnd(ports, agent, model, request, signal), signal, null);
    return last !== null && !late.signal.aborted ? last : tooLate(timeoutMs);
  } finally {
    done.abort();
  }
}

function tooLate(timeoutMs: number): Last {
  const message = `it did not answer within ${timeoutMs / 1000} s`;
  return { type: "failed", failure: { kind: "timeout", message }, hasBegun: true };
}

function noteFailure(
  { failure, hasBegun }: { readonly failure: ModelFailure; readonly hasBegun: boolean },
  { model, durationMs }: { readonly model: string; readonly durationMs: number },
  writer: SessionWriter,
): void {
  const { id: runId } = currentRun(writer);
  const purpose = "classification";
  const lost = isLostCall(failure, hasBegun) ? { lostCall: true as const } : {};
  writer.append({ type: "modelFailed", runId, model, attempt: 1, failure, durationMs, purpose, ...lost });
}
