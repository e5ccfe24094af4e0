import { parseDuration, parseSize } from "../lib/units.ts";
import { policyFromRules } from "../permissions/rules.ts";
import type { Tool } from "../tools/tool.ts";
import type { Agent, AgentModel } from "./agent.ts";
import { chooseModel, type ModelAccess, type ModelChoice } from "./choose-model.ts";
import type { Harness } from "./harness.ts";

export interface BuiltAgent {
  readonly agent: Agent;
  /** Which model answers, and why. `agent.model.id` is its id; a scripted one is "scripted/<name of the agent>". */
  readonly model: ModelChoice;
}

/** What a valid harness.json refers to, at hand. */
export interface Parts {
  readonly systemPrompt: string;
  /** Absolute. */
  readonly workspace: string | null;
  /** Absolute. */
  readonly script: string | null;
  readonly tools: ReadonlyMap<string, Tool>;
}

/** Turns what is written about an agent into what runs. */
export function buildAgent(harness: Harness, found: Parts, models: ModelAccess): BuiltAgent {
  const { id, baseUrl } = harness.model ?? {};
  const choice = chooseModel({ id: id ?? null, baseUrl: baseUrl ?? null, script: found.script }, models);
  return { agent: toAgent(harness, found, choice), model: choice };
}

function toAgent(harness: Harness, found: Parts, choice: ModelChoice): Agent {
  const { name, description, limits, sandbox } = harness;
  return {
    name,
    description,
    systemPrompt: found.systemPrompt,
    model: toAgentModel(harness, choice),
    tools: found.tools,
    policy: policyFromRules(harness.permissions),
    limits: {
      turns: limits.turns,
      durationMs: parsed(parseDuration, limits.duration),
      parallelCalls: limits.parallelCalls,
    },
    sandbox: {
      isolation: sandbox.isolation,
      limits: {
        memoryBytes: parsed(parseSize, sandbox.memory),
        processes: sandbox.processes,
        fileSizeBytes: parsed(parseSize, sandbox.fileSize),
        cpus: sandbox.cpus,
      },
    },
    workspaceTemplate: found.workspace,
  };
}

function toAgentModel({ name, model }: Harness, choice: ModelChoice): AgentModel {
  return {
    id: choice.type === "scripted" ? `scripted/${name}` : choice.id,
    ...(model?.reasoning === undefined ? {} : { reasoning: model.reasoning }),
    ...(model?.maxOutputTokens === undefined ? {} : { maxOutputTokens: model.maxOutputTokens }),
  };
}

/** The schema has checked the text with the same pattern, so this cannot fail. */
function parsed(parse: (text: string) => number | undefined, text: string): number {
  const value = parse(text);
  if (value === undefined) throw new Error(`the schema let ${JSON.stringify(text)} pass`);
  return value;
}
