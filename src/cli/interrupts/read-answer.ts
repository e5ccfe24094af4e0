import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { AppError, errorMessage } from "../../lib/errors.ts";
import type { InterruptAnswer, InterruptRequest } from "../../log/entry.ts";
import type { Input } from "../command.ts";
import { fileSystemError } from "../system-error.ts";

/** An answer as it stands on the command line. What a text means can depend on what was asked. */
export type AnswerFor = (request: InterruptRequest) => InterruptAnswer;

const ACTIONS = ["approve", "reject", "edit", "editFile", "respond", "done", "retry", "skip", "raise", "end"];

/** `interrupts answer`: exactly one of the actions. @throws AppError `invalid_input` */
export async function readAnswer(input: Input, cwd: string): Promise<AnswerFor> {
  const given = ACTIONS.filter((name) => input.flag(name) || input.text(name) !== undefined);
  const [action, ...others] = given;
  if (action === undefined || others.length > 0) {
    throw new AppError(
      "invalid_input",
      action === undefined ? "say what the answer is" : `say one of ${given.map(flagOf).join(", ")}`,
      { hint: `Possible: ${ACTIONS.map(flagOf).join(", ")}; which of them, depends on the question.` },
    );
  }
  if (action === "edit" || action === "editFile" || action === "approve") return readApproval(input, cwd);
  switch (action) {
    case "reject":
      return readRejection(input);
    case "respond":
      return readResponse(input.text("respond") ?? "");
    case "done": {
      const note = input.text("note");
      return always({ action: "done", ...(note === undefined ? {} : { note }) });
    }
    case "retry":
      return always({ action: "retry" });
    case "skip":
      return always({ action: "skip" });
    case "raise":
      return always(raised(input.text("raise") ?? ""));
    default:
      return always({ action: "end" });
  }
}

/** `approve`: as it is, for good, or with other arguments. @throws AppError `invalid_input` */
export async function readApproval(input: Input, cwd: string): Promise<AnswerFor> {
  const [scope, edit, file] = [input.text("always"), input.text("edit"), input.text("editFile")];
  if (scope !== undefined && scope !== "session" && scope !== "agent") {
    throw new AppError("invalid_input", `--always ${JSON.stringify(scope)} is not known`, {
      hint: "Write --always session, or --always agent for all its sessions.",
    });
  }
  if (edit === undefined && file === undefined) {
    return always({ action: "approve", ...(scope === undefined ? {} : { always: scope }) });
  }
  if (scope !== undefined || (edit !== undefined && file !== undefined)) {
    throw new AppError("invalid_input", "say one of --always, --edit and --edit-file");
  }
  const text = edit ?? (await readText(resolve(cwd, file ?? "")));
  try {
    return always({ action: "edit", input: JSON.parse(text) as unknown });
  } catch (error) {
    throw new AppError("invalid_input", `the arguments are not JSON: ${errorMessage(error)}`, {
      hint: "`holdfast interrupts show <id>` prints those that were asked for.",
    });
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw fileSystemError(error, "Name a file that can be read.") ?? error;
  }
}

/** `reject` */
export function readRejection(input: Input): AnswerFor {
  const feedback = input.text("feedback");
  const said = feedback === undefined || feedback.trim() === "" ? {} : { feedback };
  return always({ action: "reject", ...said });
}

/** JSON where a schema asks for more than text; text as it is anywhere else. */
function readResponse(text: string): AnswerFor {
  return (request) => ({ action: "respond", value: valueFor(request, text) });
}

function valueFor(request: InterruptRequest, text: string): unknown {
  if (!("schema" in request) || request.schema === undefined || request.schema.type === "string") return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** @throws AppError `invalid_input` */
function raised(text: string): InterruptAnswer {
  const limitUsd = Number(text.replace(/^\$/, ""));
  if (/^\$?\d+(?:\.\d+)?$/.test(text) && limitUsd > 0) return { action: "raise", limitUsd };
  throw new AppError("invalid_input", `--raise ${JSON.stringify(text)} is not an amount of US dollars`, {
    hint: "Write it like 5 or 0.50.",
  });
}

function always(answer: InterruptAnswer): AnswerFor {
  return () => answer;
}

function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
