import type { Agent } from "../../agents/agent.ts";
import { AppError } from "../../lib/errors.ts";
import type { ApprovalRequest, InterruptAnswer, InterruptRequest, QuestionRequest } from "../../log/entry.ts";
import { DEFAULT_TENANT } from "../../log/session-log.ts";
import type { AddedRule } from "../../log/state.ts";
import { ruleLike } from "../../permissions/rule-like.ts";
import type { Tool } from "../../tools/tool.ts";
import { bindingOf, policyCall } from "../calls/permit.ts";
import type { RunQueue } from "../worker/queue.ts";
import { checkLimit, checkTenant } from "./answer-budget.ts";
import { actionsFor, type InterruptRecord } from "./interrupts.ts";
import { misfitOf } from "./value-schema.ts";

/** @throws AppError `not_found` */
export async function interruptOf(
  queue: Pick<RunQueue, "interrupts">,
  sessionId: string,
  interruptId: string,
): Promise<InterruptRecord> {
  const [interrupt] = await queue.interrupts({ sessionId, id: interruptId });
  if (interrupt !== undefined) return interrupt;
  throw new AppError("not_found", `the session "${sessionId}" has no interrupt "${interruptId}"`, {
    hint: "`holdfast approvals` shows what waits for an answer.",
  });
}

/** Who answers, and as whom: a tenant's name where they have none of their own. */
export interface Answerer {
  readonly actor: string | undefined;
  readonly tenant: string | undefined;
}

/**
 * Whether this answer can be given to this question by these people. That it is the first one is for the store to say.
 * @throws AppError `invalid_input` for an answer that does not fit the question; `forbidden` for people who may not give it.
 */
export function checkAnswer(
  { request, status }: InterruptRecord,
  answer: InterruptAnswer,
  { actor, tenant = DEFAULT_TENANT }: Answerer,
  agent: Agent | undefined,
): void {
  const actions = actionsFor(request);
  if (!actions.some((action) => action === answer.action)) {
    throw new AppError(
      "invalid_input",
      `"${answer.action}" does not answer this question (${request.kind})`,
      {
        hint: `Possible: ${actions.join(", ")}.`,
      },
    );
  }
  checkPerson(request, actor);
  if (request.kind === "budget") {
    checkTenant(request, answer, tenant);
    if (status === "open") checkLimit(request, answer);
    return;
  }
  if (answer.action === "edit") checkEdit(request.call.tool, answer.input, agent);
  if (answer.action === "respond" && "schema" in request) checkValue(request, answer.value);
}

/** @throws AppError `forbidden` */
function checkPerson(
  { approvers, excluded = [], quorum = 1 }: InterruptRequest,
  actor: string | undefined,
): void {
  if (actor === undefined) {
    if (approvers === undefined && excluded.length === 0 && quorum === 1) return;
    throw new AppError("forbidden", "not everybody may answer this: say who you are", {
      hint: approvers === undefined ? "Name yourself (actor)." : `Those who may: ${approvers.join(", ")}.`,
    });
  }
  if (excluded.includes(actor)) {
    throw new AppError("forbidden", `${actor} has asked for this, and somebody else has to answer`);
  }
  if (approvers !== undefined && !approvers.includes(actor)) {
    throw new AppError("forbidden", `${actor} may not answer this`, {
      hint: `Those who may: ${approvers.join(", ")}.`,
    });
  }
}

/** @throws AppError `invalid_input` */
function checkEdit(name: string, input: unknown, agent: Agent | undefined): void {
  const tool = agent?.tools.get(name);
  // Of an agent that other processes serve: they check it before the call starts, and ask anew.
  if (agent === undefined) return;
  if (tool === undefined) throw new AppError("conflict", `the agent has no tool "${name}" any more`);
  const parsed = tool.parse(input);
  if (parsed.ok) return;
  throw new AppError("invalid_input", `these arguments do not fit ${name}:\n${parsed.complaint}`, {
    hint: "The question is still open.",
  });
}

/** @throws AppError `invalid_input` */
function checkValue({ schema }: QuestionRequest, value: unknown): void {
  const misfit = schema === undefined ? null : misfitOf(value, schema);
  if (misfit === null) return;
  throw new AppError("invalid_input", `this value is not what was asked for:\n${misfit}`, {
    hint: "The question is still open.",
  });
}

/**
 * Whether what was asked about has changed meanwhile: the tool as it is declared, or the agent's rules. The arguments cannot:
 * they are in the log.
 */
export function isStale(request: InterruptRequest, agent: Agent | undefined): request is ApprovalRequest {
  if (agent === undefined || (request.kind !== "approval" && request.kind !== "breakpoint")) return false;
  const tool = agent.tools.get(request.call.tool);
  return tool === undefined || bindingOf(tool, request.call.input, agent) !== request.binding;
}

export function staleError({ call }: ApprovalRequest): AppError {
  return new AppError(
    "conflict",
    `${call.tool} or the rules of its agent have changed since this was asked, so the answer does not count`,
    { hint: "What is to be decided now is asked anew.", details: { stale: true } },
  );
}

/** Why a rule that allows it would not keep it from being asked about; null where one would. @pure */
export function whyNotAlways(request: InterruptRequest): string | null {
  if (request.kind === "breakpoint") return "a breakpoint asks every time";
  if (request.kind !== "approval") return "this is no approval of a call";
  // The last of them would decide alone about all that comes.
  if ((request.quorum ?? 1) > 1) return "several people have to approve this, each time anew";
  const { layer, by } = request.permission;
  if (layer === "rules") return `a rule asks every time (${by})`;
  return layer === "hook" ? `the hook "${by}" asks every time` : null;
}

/**
 * The rules that "always" makes of an approval (`ruleLike`): the commands, the file, or exactly these arguments.
 * @throws AppError `invalid_input` where no rule can say it.
 */
export function rulesOfAnswer(
  { request }: InterruptRecord,
  answer: InterruptAnswer,
  agent: Agent | undefined,
): readonly AddedRule[] {
  if (answer.action !== "approve" || answer.always === undefined) return [];
  const why = whyNotAlways(request);
  if (why !== null) {
    throw new AppError("invalid_input", `${why}: it cannot be approved for good`, {
      hint: "Approve it this once, or change the rule in harness.json.",
    });
  }
  const { always: scope } = answer;
  const rules = request.kind === "approval" ? rulesFor(request, agent?.tools.get(request.call.tool)) : [];
  if (rules.length > 0) return rules.map((rule) => ({ scope, list: "allow", rule }));
  throw new AppError("invalid_input", "no rule can say exactly this, so it cannot be approved for good", {
    hint: "Approve it this once, or write a rule into harness.json.",
  });
}

function rulesFor({ call }: ApprovalRequest, tool: Tool | undefined): readonly string[] {
  return tool === undefined ? [] : ruleLike(policyCall(tool, call.input));
}
