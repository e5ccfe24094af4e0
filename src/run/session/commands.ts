import type { Agent } from "../../agents/agent.ts";
import type { AgentRegistry } from "../../agents/registry.ts";
import { AppError } from "../../lib/errors.ts";
import { newId, sha256 } from "../../lib/ids.ts";
import { canonicalJson, withoutUndefined } from "../../lib/json.ts";
import type { UserBlock } from "../../log/content.ts";
import type { Entry, PermissionMode } from "../../log/entry.ts";
import { neutraliseMarkers } from "../../log/markers.ts";
import { DEFAULT_TENANT, type SessionLog, type SessionRecord } from "../../log/session-log.ts";
import { parseRule } from "../../permissions/rule.ts";
import { complaintAboutRule } from "../../permissions/rule-check.ts";
import type { SandboxPool } from "../../sandboxes/pool.ts";
import type { Snapshots } from "../../snapshots/snapshot.ts";
import { prepareImages } from "../../tools/images.ts";
import type { Knowledge } from "../knowledge.ts";
import type { LoopPorts } from "../loop-ports.ts";
import { createTimeTravel } from "../time-travel/commands.ts";
import type { SessionFiles } from "../time-travel/files.ts";
import { unpricedBudgets } from "../turn/budget.ts";
import type { Command, RuleBook, RunQueue } from "../worker/queue.ts";
import { checkAnswer, interruptOf, isStale, rulesOfAnswer, staleError } from "./answer.ts";
import { answerAlike } from "./answer-budget.ts";
import { auditPermissions } from "./audit.ts";
import type { CostLedger } from "./costs.ts";
import type { RunEvent } from "./events.ts";
import { checkLoosening } from "./loosen.ts";
import { type ContextPorts, readContext } from "./read-context.ts";
import { readExplanation, readPermissions } from "./read-permissions.ts";
import type { Sessions } from "./sessions.ts";
import { createTransfer } from "./transfer.ts";
import { type DeltaBus, fromMessage, isRunEnd, untilAnswered, watchSession } from "./watch.ts";

export interface CommandPorts {
  readonly log: SessionLog & RunQueue & RuleBook & CostLedger;
  readonly agents: AgentRegistry;
  readonly bus: DeltaBus;
  readonly sandboxes: SandboxPool;
  readonly snapshots: Snapshots;
  readonly files: SessionFiles;
  readonly context: ContextPorts;
  /** Aborted when the runtime is closed: whoever watches then sees what there is, and the end. */
  readonly closed: AbortSignal;
  /** Of each tenant. Those of an agent are its own. */
  readonly tenantLimits: TenantLimits;
  /** What the sessions of each tenant may cost in one day; null: no limit. */
  readonly tenantDailyUsd: number | null;
  readonly worstCase: LoopPorts["worstCase"];
  /** Puts what was said to a session into its log, where no process does that by itself. */
  readonly settle: (sessionId: string) => Promise<void>;
}

/** Null: no limit. */
export interface TenantLimits {
  /** Runs at once. */
  readonly runs: number | null;
  /** New sessions in any 60 seconds. */
  readonly sessionsPerMinute: number | null;
}

const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,255}$/;
const DIRECT_TIMEOUT_MS = 600_000;
/** Far longer than a run takes to end, and than the lease of a process that hangs. */
const STOP_PATIENCE_MS = 30_000;

/**
 * The commands that anybody may give, over the store. Nothing here runs a session: the worker is woken through the inbox.
 * With a `tenant`: as that tenant may give them. Without: all sessions, and new ones belong to nobody in particular.
 */
export function createSessions(ports: CommandPorts, tenant?: string): Sessions {
  const { log, agents, bus, sandboxes, files, closed, tenantLimits, settle } = ports;

  async function existing(sessionId: string): Promise<SessionRecord> {
    const session = await log.session(sessionId);
    if (session !== undefined && (tenant === undefined || session.tenant === tenant)) return session;
    throw new AppError("not_found", `there is no session "${sessionId}"`, {
      hint: "`holdfast sessions list` shows those that exist.",
    });
  }

  /** Of an agent that other processes serve, this one does not know the limits. */
  function served(agent: string): Agent | undefined {
    return agents.list().find(({ name }) => name === agent);
  }

  /**
   * Whoever set the budgets may have calls of unknown price beside them; a tenant does not choose to. @throws AppError `forbidden`
   */
  function checkPrice(model: string, agent: Agent | undefined): void {
    if (agent === undefined || tenant === undefined || tenant === DEFAULT_TENANT) return;
    const worstCase: Knowledge["worstCase"] = (...call) => ports.worstCase(agent, ...call);
    const only = { ...agent, model: { ...agent.model, id: model, fallback: [] } };
    if (unpricedBudgets(only, worstCase, ports.tenantDailyUsd).length === 0) return;
    throw new AppError("forbidden", `the price of ${model} is not known, and there are budgets to keep`, {
      hint: "Name another model, or leave it to the agent.",
    });
  }

  const ofTenant = tenant === undefined ? {} : { tenant };

  const live: Pick<SessionLog, "follow"> = {
    follow: (sessionId, after, signal) => log.follow(sessionId, after, AbortSignal.any([signal, closed])),
  };

  const sessions: Sessions = {
    async create({ agent, id, title, idempotencyKey }) {
      const { limits } = agents.get(agent);
      if (id !== undefined) checkSessionId(id);
      const session = {
        id: id ?? newId("s"),
        agent,
        ...withoutUndefined({ tenant, title, createKey: createKeyOf(idempotencyKey, tenant) }),
        fingerprint: sha256(canonicalJson({ agent, id, title }), 32),
      };
      return log.create(session, {
        agent: limits.sessionsPerMinute,
        tenant: tenantLimits.sessionsPerMinute,
      });
    },

    get: existing,
    list: (filter) => log.sessions(tenant === undefined ? filter : { ...filter, tenant }),

    async entries(sessionId, after = 0, limit) {
      await existing(sessionId);
      return log.read(sessionId, after, limit);
    },

    async context(sessionId, options) {
      const { agent } = await existing(sessionId);
      return readContext(sessionId, agents.get(agent), log, ports.context, options);
    },

    async inbox(sessionId) {
      await existing(sessionId);
      return log.inbox(sessionId);
    },

    async send(sessionId, { blocks, idempotencyKey, ...message }) {
      if (blocks.every((block) => block.type === "text" && block.text.trim() === "")) {
        throw new AppError("invalid_input", "the message is empty", { hint: "Send some text or an image." });
      }
      const session = await existing(sessionId);
      const agent = served(session.agent);
      if (message.model !== undefined) checkPrice(message.model, agent);
      if (message.mode !== undefined) {
        checkMode(message.mode, agent);
        checkLoosening(message.mode, agent, { actor: message.actor ?? actorOf(tenant), tenant });
      }
      const delivery = message.delivery ?? agent?.delivery ?? "steer";
      const actor = message.actor ?? actorOf(tenant);
      const command: Command = {
        type: "message",
        blocks: await acceptable(blocks),
        ...withoutUndefined({
          model: message.model,
          delivery: delivery === "reject" || delivery === "steer" ? undefined : delivery,
          mode: message.mode,
          actor,
        }),
      };
      const { id, duplicate } = await log.enqueue(sessionId, command, idempotencyKey, {
        onlyIfIdle: delivery === "reject",
        runs: { agent: agent?.limits.runs ?? null, tenant: tenantLimits.runs },
      });
      return { messageId: id, duplicate };
    },

    watch(sessionId, { after = 0, signal }) {
      const events = watchSession(live, bus, sessionId, { after, signal });
      return tenant === undefined ? events : onceAllowed(existing(sessionId), events);
    },

    watchRun(sessionId, messageId, { after, signal }) {
      const events = sessions.watch(sessionId, { after: after ?? 0, signal });
      const openInterrupts = () => log.interrupts({ sessionId, status: "open" });
      return untilAnswered(after === undefined ? fromMessage(events, messageId) : events, messageId, {
        openInterrupts,
      });
    },

    async stop(sessionId, reason) {
      const { status, headSeq } = await existing(sessionId);
      if (status === "idle") return { stopped: false };
      const { id } = await log.enqueue(sessionId, {
        type: "stop",
        ...(reason === undefined ? {} : { reason }),
      });
      const isIdle = async () => (await existing(sessionId)).status === "idle";
      const hasRun = status !== "queued";
      const [limit, ended] = [new AbortController(), new AbortController()];
      ports.context.clock.sleep(STOP_PATIENCE_MS, ended.signal).then(
        () => limit.abort(),
        () => {},
      );
      try {
        const entries = log.follow(sessionId, headSeq, AbortSignal.any([closed, limit.signal]));
        if (await runEndAfterStop(entries, { hasRun, stopId: id, isIdle })) return { stopped: true };
      } finally {
        ended.abort();
      }
      throw closed.aborted
        ? new AppError("unavailable", "the runtime was closed before the run had ended; the stop stands")
        : new AppError("unavailable", "no process has obeyed the stop for half a minute; it stands", {
            hint: "Start a server with the session's agent: it ends the run before anything else.",
          });
    },

    async delete(sessionId, options) {
      await existing(sessionId);
      await sandboxes.erase(sessionId, () => log.erase(sessionId, options));
    },

    ...createTimeTravel({
      ...{ log, sandboxes, files, existing, checkSessionId, served, clock: ports.context.clock },
      perMinute: (agent) => ({
        agent: agent?.limits.sessionsPerMinute ?? null,
        tenant: tenantLimits.sessionsPerMinute,
      }),
      createKeyOf: (key) => createKeyOf(key, tenant),
      send: (sessionId, message) => sessions.send(sessionId, message),
      actor: actorOf(tenant),
    }),

    ...createTransfer({ ...ports, clock: ports.context.clock, existing, checkSessionId, tenant }),

    interrupts: (filter) => log.interrupts({ ...filter, ...ofTenant }),

    async answer(sessionId, interruptId, answer, { actor = actorOf(tenant), idempotencyKey, channel } = {}) {
      const agent = served((await existing(sessionId)).agent);
      const interrupt = await interruptOf(log, sessionId, interruptId);
      checkAnswer(interrupt, answer, { actor, tenant }, agent);
      const about = { type: "answer", interruptId, actor, channel } as const;
      if (interrupt.status === "open" && isStale(interrupt.request, agent)) {
        await log.enqueue(sessionId, withoutUndefined({ ...about, answer: { action: "stale" } } as const));
        throw staleError(interrupt.request);
      }
      const rules = rulesOfAnswer(interrupt, answer, agent);
      if (rules.some(({ scope }) => scope === "agent") && isTenant(tenant)) throw notTheirs();
      const command = withoutUndefined({
        ...about,
        answer,
        rules: rules.length === 0 ? undefined : rules,
      } as const);
      const { duplicate } = await log.enqueue(sessionId, command, idempotencyKey);
      await answerAlike(log, interrupt, command);
      const answered = await interruptOf(log, sessionId, interruptId);
      return duplicate ? { ...answered, duplicate } : answered;
    },

    async setMode(sessionId, mode, actor = actorOf(tenant)) {
      const agent = served((await existing(sessionId)).agent);
      checkMode(mode, agent);
      checkLoosening(mode, agent, { actor, tenant });
      await log.enqueue(sessionId, withoutUndefined({ type: "mode", mode, actor } as const));
      await settle(sessionId);
    },

    async addRule(sessionId, rule, actor = actorOf(tenant)) {
      const agent = served((await existing(sessionId)).agent);
      checkRule(rule.rule, agent);
      checkLoosening(rule, agent, { actor, tenant });
      if (rule.scope === "agent" && isTenant(tenant)) throw notTheirs();
      await log.enqueue(sessionId, withoutUndefined({ type: "rule", rule, actor } as const));
      await settle(sessionId);
    },

    async permissions(sessionId) {
      const { agent } = await existing(sessionId);
      return readPermissions(sessionId, agents.get(agent), log);
    },

    async explain(sessionId, callId) {
      const { agent } = await existing(sessionId);
      return readExplanation(sessionId, callId, agents.get(agent), log);
    },

    async agentRules(agent) {
      if (isTenant(tenant)) throw notTheirs();
      return log.rules(agents.get(agent).name);
    },

    async removeAgentRule(agent, rule, actor = actorOf(tenant)) {
      if (isTenant(tenant)) throw notTheirs();
      // Without what forbids it or asks about it, more goes.
      if (rule.list !== "allow") {
        checkLoosening({ scope: "agent", ...rule, list: "allow" }, served(agent), { actor, tenant });
      }
      if (await log.removeRule(agents.get(agent).name, rule)) return;
      throw new AppError("not_found", `the agent "${agent}" has no rule ${rule.list}: ${rule.rule}`, {
        hint: "Those of harness.json are changed there.",
      });
    },

    costs: (query) => log.costs({ ...query, ...ofTenant }),

    async audit(query = {}) {
      if (query.sessionId !== undefined) await existing(query.sessionId);
      return auditPermissions({ ...query, ...ofTenant }, log, agents.list());
    },

    async exec(sessionId, { command, cwd, stdin, timeoutMs = DIRECT_TIMEOUT_MS, idempotencyKey }) {
      const sandbox = await sessions.sandbox(sessionId);
      const operationId =
        idempotencyKey === undefined ? newId("op") : `op_${sha256(`${sessionId}\n${idempotencyKey}`, 32)}`;
      return sandbox.exec({
        operationId,
        command,
        timeoutMs,
        ...(cwd === undefined ? {} : { cwd }),
        ...(stdin === undefined ? {} : { stdin }),
      });
    },

    async sandbox(sessionId) {
      const { agent } = await existing(sessionId);
      await files.ready(sessionId);
      return sandboxes.open(sessionId, agents.get(agent));
    },
  };
  return sessions;
}

/**
 * The blocks of a message as they may stand in the log: images that every provider takes, and text that does not pass for
 * the runtime's. @throws AppError `invalid_input` that says which image is wrong.
 */
async function acceptable(blocks: readonly UserBlock[]): Promise<readonly UserBlock[]> {
  const prepared = await prepareImages(blocks);
  return prepared.map((block) =>
    block.type === "text" ? { ...block, text: neutraliseMarkers(block.text.toWellFormed()) } : block,
  );
}

/** @throws AppError `forbidden` */
function checkMode(mode: PermissionMode, agent: Agent | undefined): void {
  if (mode !== "bypass" || agent?.permissions.mayBypass === true) return;
  throw new AppError("forbidden", "bypass is not possible here: whoever starts the process has to allow it", {
    hint: "Start it with --allow-bypass, in an isolated sandbox and for callers of this machine only.",
  });
}

/** @throws AppError `invalid_input` */
function checkSessionId(id: string): void {
  if (SESSION_ID.test(id)) return;
  throw new AppError("invalid_input", `"${id.slice(0, 80)}" cannot be a session id`, {
    hint: "Use 1 to 256 letters, digits and . _ : -, starting with a letter or digit.",
  });
}

/** Not whoever runs the server. */
function isTenant(tenant: string | undefined): boolean {
  return tenant !== undefined && tenant !== DEFAULT_TENANT;
}

/** @throws AppError `invalid_input` for what is no rule, or can never hold for a tool of the agent. */
function checkRule(text: string, agent: Agent | undefined): void {
  const parsed = parseRule(text);
  if (!parsed.ok) throw new AppError("invalid_input", parsed.complaint);
  const complaint = agent === undefined ? null : complaintAboutRule(text, [...agent.tools.values()]);
  if (complaint === null) return;
  const { message, hint } = complaint;
  throw new AppError("invalid_input", `the rule "${text}": ${message}`, hint === undefined ? {} : { hint });
}

function notTheirs(): AppError {
  return new AppError("forbidden", "rules for all sessions of an agent are not a tenant's to make", {
    hint: "Make it a rule of this session, or ask whoever runs the server.",
  });
}

/** Keys of tenants do not meet. Those of the default one are as they were before there were tenants. */
function createKeyOf(key: string | undefined, tenant: string = DEFAULT_TENANT): string | undefined {
  return key === undefined || tenant === DEFAULT_TENANT ? key : `${tenant}\n${key}`;
}

function actorOf(tenant: string | undefined): string | undefined {
  return tenant === DEFAULT_TENANT ? undefined : tenant;
}

/** Reading has begun meanwhile; nothing of it passes before the session is known to be the reader's. */
function onceAllowed(allowed: Promise<unknown>, events: AsyncIterable<RunEvent>): AsyncIterable<RunEvent> {
  // The failure belongs to whoever reads.
  allowed.catch(() => {});
  return (async function* () {
    await allowed;
    yield* events;
  })();
}

interface StopWatch {
  /** A run was under way when the stop was given. A message that waited may begin one. */
  readonly hasRun: boolean;
  readonly stopId: string;
  readonly isIdle: () => Promise<boolean>;
}

/**
 * True when the log shows the stop and the end of the run that it ended; a stop that found nothing to end is done at once.
 * False when the entries end before that.
 */
async function runEndAfterStop(
  entries: AsyncIterable<Entry>,
  { hasRun, stopId, isIdle }: StopWatch,
): Promise<boolean> {
  let stopped = false;
  let open = hasRun;
  for await (const entry of entries) {
    if (entry.type === "userMessage" || entry.type === "runStarted") open = true;
    if (isRunEnd(entry)) open = false;
    if (entry.type === "stopRequested" && entry.inboxId === stopId) {
      stopped = true;
      open ||= !(await isIdle());
    }
    if (stopped && !open) return true;
  }
  return false;
}
