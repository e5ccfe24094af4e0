import type { Agent } from "../../agents/agent.ts";
import type { ApprovalRequest, InterruptRequest } from "../../log/entry.ts";
import { ruleLike } from "../../permissions/rule-like.ts";
import type { Tool } from "../../tools/tool.ts";
import { policyCall } from "../calls/permit.ts";
import { whyNotAlways } from "./answer.ts";
import { actionsFor, type InterruptRecord, type PersonsAction } from "./interrupts.ts";

type Schema = Readonly<Record<string, unknown>>;

/** A question as it is shown to whoever may answer it. */
export interface InterruptView extends InterruptRecord {
  /** What can be answered; empty when nothing can any more. */
  readonly actions: readonly PersonsAction[];
  /** JSON Schema (2020-12) of an answer to exactly this question; null when nothing can be answered any more. */
  readonly answerSchema: Schema | null;
}

/** @param agent the question's, where it is served here: its tools say which arguments they take. @pure */
export function viewInterrupt(record: InterruptRecord, agent: Agent | undefined): InterruptView {
  const isOpen = record.status === "open";
  return {
    ...record,
    actions: isOpen ? actionsFor(record.request) : [],
    answerSchema: isOpen ? answerSchema(record.request, agent) : null,
  };
}

/** @pure */
export function answerSchema(request: InterruptRequest, agent: Agent | undefined): Schema {
  const tool = request.kind === "budget" ? undefined : agent?.tools.get(request.call.tool);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    oneOf: actionsFor(request).map((action) => formOf(action, request, tool)),
  };
}

function formOf(action: PersonsAction, request: InterruptRequest, tool: Tool | undefined): Schema {
  switch (action) {
    case "approve":
      return form(action, mayBeForGood(request, tool) ? { always: { enum: ["session", "agent"] } } : {});
    case "edit":
      return form(action, { input: tool === undefined ? {} : embedded(tool.inputSchema, "input") }, [
        "input",
      ]);
    case "reject":
      return form(action, { feedback: { type: "string" } });
    case "respond":
      return form(action, { value: valueSchema(request) }, ["value"]);
    case "done":
      return form(action, { note: { type: "string" } });
    case "raise":
      return form(action, { limitUsd: limitSchema(request) }, ["limitUsd"]);
    case "retry":
    case "skip":
    case "end":
      return form(action, {});
  }
}

function form(action: PersonsAction, fields: Schema, required: readonly string[] = []): Schema {
  return {
    type: "object",
    properties: { action: { const: action }, ...fields, actor: { type: "string" } },
    required: ["action", ...required],
    additionalProperties: false,
  };
}

/** Instead of a tool's result, anything can be said; to a question, what it asks for. */
function valueSchema(request: InterruptRequest): Schema {
  if (request.kind !== "question" && request.kind !== "auth") return {};
  return request.schema === undefined ? { type: "string" } : embedded(request.schema, "value");
}

function limitSchema(request: InterruptRequest): Schema {
  if (request.kind !== "budget") return { type: "number" };
  const { limitUsd, spentUsd } = request.budget;
  return { type: "number", exclusiveMinimum: Math.max(limitUsd, spentUsd) };
}

/** What a schema refers to ("#/$defs/...") is meant within itself, also where it stands in another one. */
function embedded(schema: Schema, name: string): Schema {
  const { $schema: _, ...own } = schema;
  return JSON.stringify(own).includes('"$ref"') ? { $id: `urn:holdfast:${name}`, ...own } : own;
}

/** Whether a rule can say exactly what is asked, and would keep it from being asked about ("always"). */
function mayBeForGood(request: InterruptRequest, tool: Tool | undefined): request is ApprovalRequest {
  return (
    whyNotAlways(request) === null &&
    request.kind === "approval" &&
    tool !== undefined &&
    ruleLike(policyCall(tool, request.call.input)).length > 0
  );
}
