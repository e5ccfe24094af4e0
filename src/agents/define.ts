import type { z } from "zod";
import { checkHookNames } from "../hooks/define.ts";
import type { Hook } from "../hooks/hook.ts";
import { AppError } from "../lib/errors.ts";
import { toolRegistry } from "../tools/registry.ts";
import type { Tool } from "../tools/tool.ts";
import { type BuiltAgent, buildAgent } from "./build.ts";
import { explainIssues } from "./explain.ts";
import { harnessSchema } from "./harness.ts";
import type { LoadOptions } from "./load.ts";
import { fieldName } from "./problem.ts";

/**
 * An agent written in a program: the fields of harness.json, with tools as values. Paths are relative to the working
 * directory; `systemPrompt` is always the text itself.
 */
export interface AgentDefinition extends Omit<z.input<typeof harnessSchema>, "$schema" | "tools" | "hooks"> {
  readonly tools?: readonly Tool[];
  readonly hooks?: readonly Hook[];
}

/** @throws AppError `invalid_config` that names each field and what is wrong with it. */
export function defineAgent(definition: AgentDefinition, options: LoadOptions): BuiltAgent {
  const { tools = [], hooks = [], ...fields } = definition;
  const parsed = harnessSchema.safeParse(fields);
  if (!parsed.success) {
    const complaints = explainIssues(parsed.error.issues, fields).map(
      ({ path, message, hint }) =>
        `${fieldName(path) ?? "agent"}: ${message}${hint === undefined ? "" : `. ${hint}`}`,
    );
    throw new AppError(
      "invalid_config",
      `the agent "${definition.name}" is not valid:\n${complaints.join("\n")}`,
    );
  }
  checkHookNames(hooks);
  const harness = parsed.data;
  const found = {
    systemPrompt: harness.systemPrompt,
    workspace: harness.workspace ?? null,
    script: harness.model?.script ?? null,
    hooks,
    tools: toolRegistry([
      { from: "built in", tools: options.builtinTools },
      { from: `tools of ${harness.name}`, tools },
    ]),
  };
  return buildAgent(harness, found, options);
}
