import { AppError, errorMessage } from "../../lib/errors.ts";
import type { InterruptAnswer, InterruptRequest } from "../../log/entry.ts";
import { actionsFor, type PersonsAction } from "../../run/session/interrupts.ts";
import { fieldText, type Html, html, nothing, visibleJson } from "./html.ts";

/** What a form holds, by the names of its fields. */
export type TypedFields = Pick<URLSearchParams, "get">;

/** Characters of arguments or of a preview on the page. */
export const MAX_SHOWN = 100_000;

/** The ways to answer a question, each a form of its own. @pure */
export function answerForms(request: InterruptRequest, typed?: TypedFields): Html {
  const forms = actionsFor(request).map((action) => formOf(action, request, typed));
  return html`<h2>Your answer</h2>\n${forms}`;
}

function formOf(action: PersonsAction, request: InterruptRequest, typed: TypedFields | undefined): Html {
  const text = (name: string, initial = "") => fieldText(typed?.get(name) ?? initial);
  switch (action) {
    case "approve":
      return form(action, "Approve", nothing, "go");
    case "reject": {
      const label = html`<label for="feedback">Why not, or what instead (the agent reads it)</label>`;
      const field = html`${label}<textarea id="feedback" name="feedback" rows="2" maxlength="20000">${text("feedback")}</textarea>`;
      return form(action, "Reject", field, "no");
    }
    case "edit": {
      if (request.kind === "budget") return nothing;
      const initial = visibleJson(request.call.input);
      if (initial.length > MAX_SHOWN) return nothing;
      const label = html`<label for="input">Arguments, as JSON</label>`;
      const field = html`${label}<textarea class="code" id="input" name="input" rows="12" spellcheck="false">${text("input", initial)}</textarea>`;
      const isOpen = typed?.get("action") === "edit";
      return folded("Approve with other arguments", form(action, "Approve these", field), isOpen);
    }
    case "respond":
      return respondForm(request, typed);
    case "done": {
      const field = html`<label for="note">What you found (the agent reads it)</label><textarea id="note" name="note" rows="2" maxlength="20000">${text("note")}</textarea>`;
      return form(action, "It is done", field, "go");
    }
    case "retry":
      return form(action, "Try it again");
    case "skip":
      return form(action, "Leave it");
    case "raise": {
      const label = html`<label for="limitUsd">New limit in US dollars, instead of the old one</label>`;
      const field = html`${label}<input id="limitUsd" name="limitUsd" inputmode="decimal" required value="${text("limitUsd")}">`;
      return form(action, "Raise the budget", field, "go");
    }
    case "end":
      return form(action, "End the run", nothing, "no");
  }
}

function respondForm(request: InterruptRequest, typed: TypedFields | undefined): Html {
  const value = typed?.get("value") ?? "";
  if (request.kind !== "question" && request.kind !== "auth") {
    const label = html`<label for="value">What the call gives back to the agent</label>`;
    const field = html`${label}<textarea id="value" name="value" rows="3">${fieldText(value)}</textarea>`;
    return folded("Answer instead of running it", form("respond", "Answer", field), value !== "");
  }
  const choices = choicesOf(request);
  if (choices !== null) {
    const options = choices.map((each) => optionOf(each, value));
    const field = html`<label for="value">Answer</label><select id="value" name="value">${options}</select>`;
    return form("respond", "Answer", field, "go");
  }
  const label = isText(request) ? html`Answer` : html`Answer, as JSON`;
  const field = html`<label for="value">${label}</label><textarea id="value" name="value" rows="4">${fieldText(value)}</textarea>`;
  const schema = isText(request)
    ? nothing
    : html`<details><summary>What it has to be (JSON Schema)</summary><pre dir="ltr">${visibleJson(request.schema)}</pre></details>`;
  return form("respond", "Answer", html`${field}${schema}`, "go");
}

function optionOf(choice: unknown, chosen: string): Html {
  const json = JSON.stringify(choice);
  const words =
    typeof choice === "string" ? choice : choice === true ? "yes" : choice === false ? "no" : json;
  const selected = json === chosen ? html` selected` : nothing;
  return html`<option value="${fieldText(json)}"${selected}>${words}</option>`;
}

/** Sent to where the page is from: the address is what allows it. */
function form(
  action: PersonsAction,
  button: string,
  fields: Html = nothing,
  kind: "go" | "no" | "" = "",
): Html {
  return html`<form method="post">${fields}<button class="${kind}" name="action" value="${action}">${button}</button></form>\n`;
}

function folded(summary: string, content: Html, isOpen: boolean): Html {
  return html`<details${isOpen ? html` open` : nothing}><summary>${summary}</summary>${content}</details>\n`;
}

type ValueRequest = Extract<InterruptRequest, { readonly kind: "question" | "auth" }>;

/** Null where there are more than can be listed. */
function choicesOf({ schema }: ValueRequest): readonly unknown[] | null {
  if (Array.isArray(schema?.enum)) return schema.enum;
  return schema?.type === "boolean" ? [true, false] : null;
}

function isText({ schema }: ValueRequest): boolean {
  return schema === undefined || schema.type === "string";
}

/**
 * The answer that a form holds. Whether it answers the question is looked at where all answers are.
 * @throws AppError `invalid_input`
 */
export function answerOfForm(request: InterruptRequest, fields: TypedFields): InterruptAnswer {
  const action = fields.get("action");
  const words = (name: string) => fields.get(name)?.trim() || undefined;
  switch (action) {
    case "approve":
    case "retry":
    case "skip":
    case "end":
      return { action };
    case "reject": {
      const feedback = words("feedback");
      return feedback === undefined ? { action } : { action, feedback };
    }
    case "done": {
      const note = words("note");
      return note === undefined ? { action } : { action, note };
    }
    case "edit":
      return { action, input: jsonOf(fields.get("input") ?? "", "the arguments") };
    case "respond":
      return { action, value: answerValue(request, fields.get("value") ?? "") };
    case "raise":
      return { action, limitUsd: dollarsOf(fields.get("limitUsd") ?? "") };
    default:
      throw new AppError("invalid_input", "no answer was chosen", { hint: "Use one of the buttons." });
  }
}

function answerValue(request: InterruptRequest, text: string): unknown {
  if (request.kind !== "question" && request.kind !== "auth") return text;
  return isText(request) && choicesOf(request) === null ? text : jsonOf(text, "the answer");
}

function jsonOf(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError("invalid_input", `${what} cannot be read as JSON: ${errorMessage(error)}`);
  }
}

function dollarsOf(text: string): number {
  const amount = /^\s*\$?\s*(\d+(?:\.\d+)?)\s*$/.exec(text)?.[1];
  if (amount !== undefined) return Number(amount);
  throw new AppError("invalid_input", `"${text}" is not an amount of US dollars such as 25 or 0.50`);
}
