import type { ReasoningEffort } from "../models/model.ts";
import type { Policy } from "../permissions/policy.ts";
import type { SandboxKind, SandboxLimits } from "../sandboxes/sandbox.ts";
import type { Tool } from "../tools/tool.ts";

/** What a harness.json became: everything that the loop needs to know about an agent, with every default filled in. */
export interface Agent {
  /** `[a-z0-9-]`, 1 to 64 characters. */
  readonly name: string;
  readonly description: string;
  readonly systemPrompt: string;
  readonly model: AgentModel;
  /** By name, in the order in which the model is told of them. */
  readonly tools: ReadonlyMap<string, Tool>;
  readonly policy: Policy;
  readonly limits: AgentLimits;
  readonly sandbox: AgentSandbox;
  /** A directory whose files every new session starts with; null for an empty workspace. */
  readonly workspaceTemplate: string | null;
}

export interface AgentModel {
  /** "provider/name". */
  readonly id: string;
  readonly reasoning?: ReasoningEffort;
  readonly maxOutputTokens?: number;
}

export interface AgentLimits {
  /** Model calls in one run. */
  readonly turns: number;
  /** Wall-clock time of one run, milliseconds. */
  readonly durationMs: number;
  /** Tool calls at once. */
  readonly parallelCalls: number;
}

export interface AgentSandbox {
  /** `auto`: the strongest kind that this machine can run. */
  readonly isolation: "auto" | SandboxKind;
  readonly limits: SandboxLimits;
}
