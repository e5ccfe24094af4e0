import type { Hook } from "../hooks/hook.ts";
import { withoutUndefined } from "../lib/json.ts";
import { parseDuration, parseSize } from "../lib/units.ts";
import { policyFingerprint, policyOf, ruleNames } from "../permissions/rules.ts";
import { snapshotLimits } from "../snapshots/snapshot.ts";
import type { Tool } from "../tools/tool.ts";
import type { Agent, AgentApprovals, AgentModel, AgentPermissions } from "./agent.ts";
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
  readonly hooks: readonly Hook[];
}

export interface BuildOptions {
  readonly models: ModelAccess;
  /** Whoever starts the process lets sessions work in the mode `bypass`. Default false. */
  readonly mayBypass?: boolean;
}

/** Turns what is written about an agent into what runs. */
export function buildAgent(
  harness: Harness,
  found: Parts,
  { models, mayBypass = false }: BuildOptions,
): BuiltAgent {
  const { id, baseUrl } = harness.model ?? {};
  const choice = chooseModel({ id: id ?? null, baseUrl: baseUrl ?? null, script: found.script }, models);
  return { agent: toAgent(harness, found, choice, mayBypass), model: choice };
}

function toAgent(harness: Harness, found: Parts, choice: ModelChoice, mayBypass: boolean): Agent {
  const { name, description, limits, sandbox, snapshots } = harness;
  return {
    name,
    description,
    systemPrompt: found.systemPrompt,
    model: toAgentModel(harness, choice),
    tools: found.tools,
    policy: policyOf(harness.permissions),
    permissions: toPermissions(harness.permissions, mayBypass),
    approvals: toApprovals(harness.approvals),
    hooks: found.hooks,
    context: {
      compactAt: harness.context.compactAt ?? null,
      maxTools: harness.context.maxTools,
      maxToolTokens: harness.context.maxToolTokens,
    },
    delivery: harness.delivery,
    limits: {
      turns: limits.turns,
      durationMs: parsed(parseDuration, limits.duration),
      parallelCalls: limits.parallelCalls,
      costUsd: limits.costUsd ?? null,
      sessionCostUsd: limits.sessionCostUsd ?? null,
      dailyCostUsd: limits.dailyCostUsd ?? null,
      runs: limits.runs ?? null,
      sessionsPerMinute: limits.sessionsPerMinute ?? null,
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
    snapshots: {
      enabled: snapshots.enabled,
      limits: {
        maxFileSize: parsed(parseSize, snapshots.maxFileSize),
        maxSize: parsed(parseSize, snapshots.maxSize),
        maxFiles: snapshotLimits.maxFiles,
      },
    },
    retention: {
      abandonedMs: orNever(harness.retention.abandoned),
      idleMs: orNever(harness.retention.idle),
    },
    workspaceTemplate: found.workspace,
  };
}

function toPermissions(
  { users, classifier, ...own }: Harness["permissions"],
  mayBypass: boolean,
): AgentPermissions {
  return {
    mode: own.mode,
    mayBypass,
    own,
    users: new Map(
      Object.entries(users).map(([name, rules]) => [name, { ...rules, source: `user ${name}` }]),
    ),
    ruleNames: ruleNames(own),
    fingerprint: policyFingerprint(own),
    classifier: { model: classifier.model ?? null, timeoutMs: parsed(parseDuration, classifier.timeout) },
  };
}

function toApprovals(approvals: Harness["approvals"]): AgentApprovals {
  const { expiresAfter, abandonAfter, remindAfter, webhook, ...rest } = approvals;
  return {
    ...rest,
    expiresAfterMs: expiresAfter === undefined ? null : parsed(parseDuration, expiresAfter),
    abandonAfterMs: parsed(parseDuration, abandonAfter),
    remindAfterMs: remindAfter.map((text) => parsed(parseDuration, text)).toSorted((a, b) => a - b),
    webhook: webhook ?? null,
  };
}

function toAgentModel({ name, model }: Harness, choice: ModelChoice): AgentModel {
  const { firstToken, betweenTokens } = model?.timeouts ?? {};
  return withoutUndefined({
    id: choice.type === "scripted" ? `scripted/${name}` : choice.id,
    reasoning: model?.reasoning,
    maxOutputTokens: model?.maxOutputTokens,
    fallback: model?.fallback.map(({ id }) => id) ?? [],
    fallbackFacts: model?.fallback.map(withoutUndefined),
    cacheLifetime: model?.cache ?? "5m",
    firstTokenMs: firstToken === undefined ? undefined : parsed(parseDuration, firstToken),
    betweenTokensMs: betweenTokens === undefined ? undefined : parsed(parseDuration, betweenTokens),
    contextWindow: model?.contextWindow,
    prices: model?.prices,
  });
}

function orNever(text: string): number | null {
  return text === "never" ? null : parsed(parseDuration, text);
}

/** The schema has checked the text with the same pattern, so this cannot fail. */
function parsed(parse: (text: string) => number | undefined, text: string): number {
  const value = parse(text);
  if (value === undefined) throw new Error(`the schema let ${JSON.stringify(text)} pass`);
  return value;
}
