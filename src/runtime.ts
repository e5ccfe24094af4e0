import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Agent } from "./agents/agent.ts";
import type { BuiltAgent } from "./agents/build.ts";
import { type AgentDefinition, defineAgent } from "./agents/define.ts";
import { loadAgentOrThrow } from "./agents/load.ts";
import { type AgentRegistry, createAgentRegistry } from "./agents/registry.ts";
import { type Config, readConfig } from "./config.ts";
import { type Clock, systemClock } from "./lib/clock.ts";
import { AppError, errorMessage, isAppError } from "./lib/errors.ts";
import type { SessionLog } from "./log/session-log.ts";
import { createCatalogue } from "./models/catalogue.ts";
import type { ModelResolver } from "./models/model.ts";
import { provideModelFacts, provideModels } from "./provide-models.ts";
import { provideNotices } from "./provide-notices.ts";
import { provideSandboxes } from "./provide-sandboxes.ts";
import { cleanSnapshots, provideSnapshots, saveFilesOf } from "./provide-snapshots.ts";
import type { LinkSigner } from "./run/approvals/link.ts";
import type { LoopPorts } from "./run/loop-ports.ts";
import { createSessions } from "./run/session/commands.ts";
import { mergeDeltas } from "./run/session/merge-deltas.ts";
import type { ContextPorts } from "./run/session/read-context.ts";
import type { Sessions } from "./run/session/sessions.ts";
import { createDeltaBus } from "./run/session/watch.ts";
import { createSessionFiles } from "./run/time-travel/files.ts";
import { createSweeper } from "./run/worker/retention.ts";
import { settleInbox } from "./run/worker/settle-inbox.ts";
import { createWorker } from "./run/worker/worker.ts";
import type { SandboxPool } from "./sandboxes/pool.ts";
import type { SandboxDriver } from "./sandboxes/sandbox.ts";
import { readWorkspaceFile } from "./sandboxes/workspace-file.ts";
import { openSession, type Session } from "./session.ts";
import { openSqliteStore } from "./stores/sqlite/sqlite.ts";
import type { Store } from "./stores/store.ts";
import { builtinTools } from "./tools/builtin/builtin.ts";

/** Agents that run, and the sessions that they have. */
export interface Runtime extends AsyncDisposable {
  readonly sessions: Sessions;
  /** The sessions of one tenant, as it may see and use them. */
  sessionsOf(tenant: string): Sessions;
  readonly agents: AgentRegistry;
  /** Reads the links that are sent to people who may answer questions; undefined unless there is a `publicUrl`. */
  readonly links: LinkSigner | undefined;
  /**
   * A new session, or the one with the id. The agent may be left out when there is only one.
   * @throws AppError `conflict` when the session with the id belongs to another agent.
   */
  session(options?: SessionOptions): Promise<Session>;
  /** Resolves when no session is being worked on by this process. */
  idle(): Promise<void>;
  /**
   * Works on nothing new, and lets runs come to a point at which another process can take them up, for at most `limitMs`
   * (default: `graceMs`). Reading and giving commands goes on. To be called before closing where there is time.
   */
  drain(limitMs?: number): Promise<void>;
  /** The host's directory with a session's files; exists once a tool has been used. */
  workspacePath(sessionId: string): string;
}

export interface SessionOptions {
  readonly agent?: string;
  /** An id of one's own; the session with it is continued when it exists. */
  readonly id?: string;
  readonly title?: string;
}

export interface RuntimeOptions {
  /** Agents as values, or the paths of their harness.json or its folder. */
  readonly agents: readonly (AgentDefinition | string)[];
  /** Where sessions, workspaces and the database are. Default: HOLDFAST_DATA_DIR, or `.holdfast` here. */
  readonly dataDir?: string;
  /** Keys, addresses and defaults. Default: from the environment. */
  readonly config?: Config;
  /** Finds models instead of the configuration; for tests and for models of one's own. */
  readonly models?: ModelResolver;
  /** Default: SQLite in `dataDir`. One that is given is closed by whoever opened it. */
  readonly store?: Store;
  /** Default: all that come with Holdfast; the strongest that this machine can run is chosen. */
  readonly sandboxes?: readonly SandboxDriver[];
  /**
   * How long a sandbox that this process starts, and that can outlive it, waits for more when no process is connected and no
   * command runs. Milliseconds, default 15 minutes.
   */
  readonly sandboxIdleMs?: number;
  readonly clock?: Clock;
  /**
   * Which sessions this process works on. `all` (the default): whatever has work, also what other processes left behind.
   * `none`: reads and gives commands only. A session's id: that one.
   */
  readonly work?: "all" | "none" | { readonly only: string };
  /**
   * Where people reach the HTTP API over this runtime, for example "https://agents.example.com". With it, webhooks of agents
   * (`approvals.webhook`) are told of questions, with links to answer them. Default: nobody is told.
   */
  readonly publicUrl?: string;
  /** How long closing waits for calls under way to end before it lets go of them. Milliseconds, default 5,000. */
  readonly graceMs?: number;
  /** What a person should know and no caller waits for. Default: standard error. */
  readonly notify?: (notice: string) => void;
  /**
   * Sessions may be switched to the mode `bypass`, in which nothing but what a rule denies is asked about or refused. Default false. Not
   * where an agent's commands run on this machine itself (`sandbox.isolation: "none"`).
   */
  readonly allowBypass?: boolean;
}

/**
 * The composition root: the only place where implementations are put together.
 * @throws AppError `invalid_config` that names every mistake of every agent; `unavailable`, `unsupported`, `corrupt` for
 * the database.
 */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const config = options.config ?? readConfig();
  const clock = options.clock ?? systemClock;
  const notify = options.notify ?? ((notice) => process.stderr.write(`holdfast: ${notice}\n`));
  const dataDir = resolve(options.dataDir ?? config.dataDir ?? ".holdfast");
  await using opened = new AsyncDisposableStack();

  const built = await buildAgents(options.agents, config, options);
  const agents = createAgentRegistry(built.map(({ agent }) => agent));
  const models = await modelsOf(options.models, built, config);
  if (options.models === undefined && options.notify === undefined) tellMissingModels(built, notify);
  const catalogue = createCatalogue();
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const store =
    options.store ?? opened.use(await openSqliteStore({ path: join(dataDir, "holdfast.db"), clock }));
  const sandboxes = opened.use(
    provideSandboxes({ dataDir, drivers: options.sandboxes, idleMs: options.sandboxIdleMs, notify }),
  );
  const snapshots = provideSnapshots(dataDir, clock);
  const cleaner = options.work === "none" ? null : opened.use(cleanSnapshots(snapshots, store, notify));
  const bus = createDeltaBus();
  const closing = new AbortController();
  opened.defer(() => closing.abort());
  const files = createSessionFiles({ log: store, snapshots, sandboxes, closed: closing.signal });
  const { tenantLimits } = config;
  const known: ContextPorts & Pick<LoopPorts, "price" | "worstCase"> = {
    ...provideModelFacts(catalogue),
    clock,
    async projectFile(sessionId, agent, name) {
      await files.ready(sessionId);
      const places = [sandboxes.workspacePath(sessionId), agent.workspaceTemplate];
      return readWorkspaceFile(places, name, MAX_PROJECT_FILE);
    },
  };
  const work = options.work ?? "all";
  const ports = {
    log: store,
    agents,
    bus,
    sandboxes: {
      ...sandboxes,
      async erase(...erased: Parameters<SandboxPool["erase"]>) {
        await sandboxes.erase(...erased);
        cleaner?.soon();
      },
    },
    snapshots,
    files,
    context: known,
    closed: closing.signal,
    tenantLimits,
    tenantDailyUsd: config.tenantDailyUsd,
    worstCase: known.worstCase,
    settle: async (sessionId: string) => {
      if (work === "none") await settleInbox(store, sessionId, clock);
    },
  };
  const sessions = createSessions(ports);

  const worker = opened.use(
    createWorker({
      log: store,
      nodeId: store.nodeId,
      agents,
      emit: mergeDeltas(bus.publish),
      ports: {
        models,
        ...known,
        tenantDailyUsd: config.tenantDailyUsd,
        sandbox: async (sessionId) => sessions.sandbox(sessionId),
        saveFiles: saveFilesOf(snapshots, sandboxes),
      },
      onIdle: (sessionId) => {
        sandboxes
          .release(sessionId)
          .catch((error: unknown) =>
            notify(`the sandbox of ${sessionId} is not let go of: ${errorMessage(error)}`),
          );
      },
      report: notify,
      ...(typeof work === "object" ? { only: work.only } : {}),
      ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
    }),
  );
  if (work !== "none") {
    worker.start();
    const cleaning = removeLeftovers(sandboxes, store).catch((error: unknown) =>
      notify(`what earlier processes left behind is not removed: ${errorMessage(error)}`),
    );
    opened.defer(() => cleaning);
  }
  if (work === "all") {
    const remove = sessions.delete;
    const sweeper = createSweeper({ retention: store, agents, remove, clock, report: notify });
    opened.use(sweeper).start();
  }

  const { publicUrl } = options;
  const { links, notifier } =
    publicUrl === undefined
      ? {}
      : await provideNotices({ publicUrl, config, dataDir, agents, notices: store, clock, report: notify });
  opened.use(notifier)?.start();

  const disposal = opened.move();
  return {
    links,
    sessions,
    sessionsOf: (tenant) => createSessions(ports, tenant),
    agents,
    idle: () => worker.idle(),
    drain: (limitMs = options.graceMs ?? 5_000) => worker.drain(limitMs),
    workspacePath: sandboxes.workspacePath,
    async session({ agent = onlyAgent(agents), ...rest } = {}) {
      return openSession(sessions, await continueOrCreate(sessions, { agent, ...rest }));
    },
    [Symbol.asyncDispose]: () => disposal.disposeAsync(),
  };
}

/** Far more than fits into a system prompt. */
const MAX_PROJECT_FILE = 262_144;

async function buildAgents(
  wanted: RuntimeOptions["agents"],
  { models }: Config,
  { allowBypass = false, work }: Pick<RuntimeOptions, "allowBypass" | "work">,
): Promise<readonly BuiltAgent[]> {
  const options = { builtinTools: builtinTools(), models, mayBypass: allowBypass };
  const built = await Promise.all(
    wanted.map((agent) =>
      typeof agent === "string" ? loadAgentOrThrow(agent, options) : defineAgent(agent, options),
    ),
  );
  // Who only reads and gives commands starts no call.
  if (work !== "none") for (const { agent } of built) checkBypass(agent, allowBypass);
  return built;
}

/**
 * Nothing is let through silently, and nothing is silently made stricter than it says.
 * @throws AppError `invalid_config`
 */
function checkBypass({ name, permissions, sandbox }: Agent, allowBypass: boolean): void {
  if (!allowBypass && permissions.mode === "bypass") {
    throw new AppError(
      "invalid_config",
      `the agent "${name}" is to work in the mode bypass, which is not allowed here`,
      {
        hint: "Start it with --allow-bypass (in a program: allowBypass), or choose another permissions.mode in harness.json: docs/permissions.md compares them.",
      },
    );
  }
  if (allowBypass && sandbox.isolation === "none") {
    throw new AppError(
      "invalid_config",
      `the mode bypass is not for "${name}": its commands run on this machine itself`,
      {
        hint: 'Choose another sandbox.isolation than "none" in harness.json, or start it without --allow-bypass.',
      },
    );
  }
}

/** Nobody else says it in a program; the command line has a better place for it. */
function tellMissingModels(built: readonly BuiltAgent[], notify: (notice: string) => void): void {
  for (const { agent, model } of built) {
    if (model.type === "missing") notify(`${agent.name} cannot answer: ${model.message}. ${model.hint}`);
  }
}

async function modelsOf(
  own: ModelResolver | undefined,
  built: readonly BuiltAgent[],
  { models }: Config,
): Promise<LoopPorts["models"]> {
  return own === undefined ? provideModels(built, models) : (_agent, modelId) => own(modelId);
}

async function removeLeftovers(sandboxes: SandboxPool, log: SessionLog): Promise<void> {
  await sandboxes.removeLeftovers(async (sessionId) => (await log.session(sessionId)) !== undefined);
}

/** @throws AppError `invalid_input` */
function onlyAgent(agents: AgentRegistry): string {
  const [first, ...others] = agents.list();
  if (first !== undefined && others.length === 0) return first.name;
  const names = agents.list().map(({ name }) => name);
  throw new AppError("invalid_input", `which agent? There are ${names.length}`, {
    hint: `Name one of: ${names.join(", ")}.`,
  });
}

async function continueOrCreate(
  sessions: Sessions,
  wanted: SessionOptions & { readonly agent: string },
): Promise<string> {
  const { id } = wanted;
  if (id === undefined) return (await sessions.create(wanted)).session.id;
  const existing = await sessions.get(id).catch((error: unknown) => {
    if (isAppError(error, "not_found")) return undefined;
    throw error;
  });
  if (existing === undefined) return (await sessions.create(wanted)).session.id;
  if (existing.agent === wanted.agent) return id;
  const message = `the session "${id}" belongs to the agent "${existing.agent}", not to "${wanted.agent}"`;
  throw new AppError("conflict", message, { hint: "Choose another id, or open it with its own agent." });
}
