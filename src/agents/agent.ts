import type { Hook } from "../hooks/hook.ts";
import type { Delivery, OnExpire, PermissionMode } from "../log/entry.ts";
import type { CacheLifetime, ReasoningEffort } from "../models/model.ts";
import type { ModelEntry, ModelPrices } from "../models/model-entry.ts";
import type { Policy, RuleSet } from "../permissions/policy.ts";
import type { OwnRules } from "../permissions/rules.ts";
import type { SandboxKind, SandboxLimits } from "../sandboxes/sandbox.ts";
import type { SnapshotLimits } from "../snapshots/snapshot.ts";
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
  /** Decides by its own rules, by those of the situation, and by the mode. */
  readonly policy: Policy;
  readonly permissions: AgentPermissions;
  readonly approvals: AgentApprovals;
  /** In the order in which they are asked. */
  readonly hooks: readonly Hook[];
  readonly context: AgentContext;
  /** What becomes of a message that arrives during a run and does not say. `reject`: it is refused. */
  readonly delivery: Delivery | "reject";
  readonly limits: AgentLimits;
  readonly sandbox: AgentSandbox;
  readonly snapshots: AgentSnapshots;
  readonly retention: AgentRetention;
  /** A directory whose files every new session starts with; null for an empty workspace. */
  readonly workspaceTemplate: string | null;
}

export interface AgentModel {
  /** "provider/name". */
  readonly id: string;
  readonly reasoning?: ReasoningEffort;
  readonly maxOutputTokens?: number;
  /** Models that a run goes on with, in order, when the one before does not answer. */
  readonly fallback: readonly string[];
  /** What is said of models in `fallback`, instead of the catalogue's. */
  readonly fallbackFacts?: readonly ModelEntry[];
  /** How long the provider is asked to keep what it has cached of a session. */
  readonly cacheLifetime: CacheLifetime;
  /** Milliseconds of silence until a request is given up; absent: see `models/ai-sdk/patience.ts`. */
  readonly firstTokenMs?: number;
  readonly betweenTokensMs?: number;
  /** Of the model `id`, instead of the catalogue's. */
  readonly contextWindow?: number;
  readonly prices?: ModelPrices;
}

export interface AgentPermissions {
  /** Of sessions that nobody has switched to another one. */
  readonly mode: PermissionMode;
  /** Whether `bypass` is possible at all; else it counts as `default`. */
  readonly mayBypass: boolean;
  /** What the policy was made of, to explain what it decides. */
  readonly own: OwnRules;
  /** More rules for runs that answer messages of these people. */
  readonly users: ReadonlyMap<string, RuleSet>;
  /** Its own rules, as decisions name them. */
  readonly ruleNames: readonly string[];
  /** Of its rules and mode: approvals are bound to it. */
  readonly fingerprint: string;
  /** Who decides in mode `auto`. */
  readonly classifier: {
    /** "provider/name"; null: the agent's model. */
    readonly model: string | null;
    readonly timeoutMs: number;
  };
}

/** On which terms people are asked. docs/approvals.md */
export interface AgentApprovals {
  /** Milliseconds; null: for as long as the session waits. */
  readonly expiresAfterMs: number | null;
  readonly onExpire: OnExpire;
  readonly escalateTo: readonly string[];
  /** How long after the question, milliseconds. */
  readonly remindAfterMs: readonly number[];
  /** When the run is given up, milliseconds after the first question. */
  readonly abandonAfterMs: number;
  /** Names; empty: anybody. */
  readonly approvers: readonly string[];
  /** Whoever sent the message may not approve what comes of it. */
  readonly excludeRequester: boolean;
  /** How many different people have to approve. */
  readonly quorum: number;
  /** A call whose outcome nobody knows: tell the model, or ask a person first. */
  readonly unknownOutcome: "tell" | "ask";
  /** Where questions are sent to; null: nowhere. */
  readonly webhook: string | null;
}

/** Whether the files of its sessions are kept as they are after each turn that can have changed them, and how much of them. */
export interface AgentSnapshots {
  readonly enabled: boolean;
  readonly limits: SnapshotLimits;
}

/** When sessions are deleted that have nothing to do, milliseconds after somebody has last used them; null: never. */
export interface AgentRetention {
  /** Those whose last run was given up because nobody has answered. */
  readonly abandonedMs: number | null;
  /** All. */
  readonly idleMs: number | null;
}

export interface AgentContext {
  /** Share of the context window at which the transcript is compacted, 0 to 1; null: by the size of the window. */
  readonly compactAt: number | null;
  /** Above one of these, the tools that are used least are listed by name only, and found with `find_tools`. */
  readonly maxTools: number;
  readonly maxToolTokens: number;
}

export interface AgentLimits {
  /** Model calls in one run. */
  readonly turns: number;
  /** Wall-clock time of one run, milliseconds. */
  readonly durationMs: number;
  /** Tool calls at once. */
  readonly parallelCalls: number;
  /** US dollars of one run, of one session, and of all sessions of this agent in one day (UTC). Null: no limit. */
  readonly costUsd: number | null;
  readonly sessionCostUsd: number | null;
  readonly dailyCostUsd: number | null;
  /** Runs of this agent at once, over all its sessions; more are refused. Null: no limit. */
  readonly runs: number | null;
  /** New sessions of this agent in any 60 seconds. Null: no limit. */
  readonly sessionsPerMinute: number | null;
}

export interface AgentSandbox {
  /** `auto`: the strongest kind that this machine can run. */
  readonly isolation: "auto" | SandboxKind;
  readonly limits: SandboxLimits;
}
