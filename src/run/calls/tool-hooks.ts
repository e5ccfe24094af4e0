import type { Agent } from "../../agents/agent.ts";
import type { ResultBlock, TextBlock } from "../../log/content.ts";
import { noteText } from "../../log/notes.ts";
import type { OpenCall, SessionState } from "../../log/state.ts";
import { textOf } from "../hook-question.ts";
import { askHooks, type HookMoment, hasUnasked } from "../hooks.ts";
import type { LoopControl, LoopPorts } from "../loop-ports.ts";
import type { SessionWriter } from "../session-writer.ts";
import type { CallPlan } from "./call-plan.ts";

/** More of a result than this is not worth a hook's time; it can read the file that the result names. */
const MAX_RESULT = 65_536;

/** Whether hooks have to be asked before this call may start. @pure */
export function needsAsking(call: OpenCall, tool: string, state: SessionState, agent: Agent): boolean {
  return agent.hooks.length > 0 && hasUnasked(beforeTool(call, tool), state, agent);
}

/** Their answers are entries: plan the call anew afterwards. */
export async function askBeforeTool(
  { call, tool, input }: Extract<CallPlan, { type: "run" | "ask" }>,
  writer: SessionWriter,
  agent: Agent,
  ports: Pick<LoopPorts, "clock">,
  control: LoopControl,
): Promise<void> {
  const about = { callId: call.callId, tool: tool.name, effect: tool.effect, input };
  await askHooks(beforeTool(call, tool.name), about, writer, agent, ports, control);
}

/** What hooks want the model to know of a result joins the transcript behind it. */
export async function askAfterTool(
  call: OpenCall,
  result: { readonly outcome: string; readonly blocks: readonly ResultBlock[] },
  writer: SessionWriter,
  agent: Agent,
  ports: Pick<LoopPorts, "clock">,
  control: LoopControl,
): Promise<void> {
  const { callId, name: tool, input } = call;
  const moment: HookMoment = { point: "afterTool", subject: callId, tool };
  if (agent.hooks.length === 0 || !hasUnasked(moment, writer.state, agent)) return;
  const text = textOf(result.blocks).slice(0, MAX_RESULT);
  const about = { callId, tool, input, outcome: result.outcome, result: text };
  await askHooks(moment, about, writer, agent, ports, control);
}

/** For the model: its call was run with other arguments than it wrote. */
export function noteOfChange({ callId, approval }: OpenCall, state: SessionState): readonly TextBlock[] {
  const changes = [...state.hooks.values()].filter(
    ({ point, subject, decision }) => point === "beforeTool" && subject === callId && decision === "change",
  );
  const byHooks = changes.map(({ hook, input, reason }) =>
    note(`hook ${hook}`, input, reason === undefined ? "" : ` (${reason})`),
  );
  if (approval?.answer.action !== "edit") return byHooks;
  return [note(approval.actor ?? "a person", approval.answer.input, ""), ...byHooks];
}

function note(source: string, input: unknown, reason: string): TextBlock {
  const text = `It was run with other arguments than yours: ${JSON.stringify(input)}${reason}`;
  return { type: "text", text: noteText(source, text) };
}

function beforeTool({ callId }: OpenCall, tool: string): HookMoment {
  return { point: "beforeTool", subject: callId, tool };
}
