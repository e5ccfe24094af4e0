import { join } from "node:path";
import type { LoadedAgent } from "../agents/load.ts";
import { type BearerToken, type Config, dataDirOf, readConfig } from "../config.ts";
import { createApp } from "../http/app.ts";
import { hashToken, isLoopbackHost, type KnownToken } from "../http/auth.ts";
import { errorResponse, wireError } from "../http/errors.ts";
import { type HttpServer, serve } from "../http/server.ts";
import { systemClock } from "../lib/clock.ts";
import { AppError, errorMessage } from "../lib/errors.ts";
import { packageVersion } from "../lib/version.ts";
import type { SessionStatus } from "../log/session-log.ts";
import { createCatalogue } from "../models/catalogue.ts";
import { provideModelFacts } from "../provide-models.ts";
import { LINK_PATH } from "../run/approvals/link.ts";
import type { Knowledge } from "../run/knowledge.ts";
import { unpricedBudgets } from "../run/turn/budget.ts";
import { openRuntime, type Runtime } from "../runtime.ts";
import { exitCodes } from "./exit.ts";
import { loadAgents } from "./find-agents.ts";
import { keepHeapSmall } from "./keep-heap-small.ts";
import { createNotices, type Notices } from "./notices.ts";
import { checkedDuration, readInteger } from "./read-number.ts";
import { duration, plural } from "./render/figures.ts";
import { oneLine, plain } from "./render/plain.ts";
import { shellWord } from "./shell-word.ts";
import { shortPath } from "./short-path.ts";
import { printLine, stylerFor, type Terminal } from "./terminal.ts";

export interface ServeWishes {
  readonly paths: readonly string[];
  readonly host: string | undefined;
  readonly port: string | undefined;
  readonly dataDir: string | undefined;
  readonly drainTimeout: string | undefined;
  readonly verbose: boolean;
  readonly allowBypass: boolean;
}

type Answer = (request: Request, env: object) => Response | Promise<Response>;

/** `holdfast start`: serves until Ctrl-C or SIGTERM, which is how a server ends well. */
export async function serveAgents(wishes: ServeWishes, terminal: Terminal): Promise<number> {
  keepHeapSmall();
  const config = readConfig(overridesOf(wishes), terminal.env);
  const agents = await loadAgents(wishes.paths, terminal.cwd, config);
  const dataDir = commonDataDir(agents, config, terminal.cwd);
  const tokens = config.bearerTokens();
  if (tokens.length === 0) refuseOpenDoor(config.listen.host);
  if (wishes.allowBypass) refuseBypassFromOutside(config);
  const notices = createNotices(terminal, { json: false });
  const interruption = terminal.interruption();

  // The port comes first: where it is taken, no session is touched.
  let answer: Answer = () => errorResponse(wireError("unavailable", "the server is starting"));
  const app = {
    authenticated: tokens.length > 0,
    fetch: (request: Request, env: object) => answer(request, env),
  };
  await using server = await serve(app, config.listen);
  await using runtime = await openRuntime({
    agents: agents.map(({ file }) => file),
    dataDir,
    config,
    publicUrl: config.publicUrl ?? server.url,
    notify: notices.tell,
    allowBypass: wishes.allowBypass,
  });
  const unfinished = await countUnfinished(runtime);
  const api = createApp({
    sessions: runtime.sessions,
    sessionsOf: runtime.sessionsOf,
    draining: () => interruption.aborted,
    agents: runtime.agents,
    ...(runtime.links === undefined ? {} : { links: runtime.links }),
    version: packageVersion(),
    importBytes: config.importBytes,
    onDefect: (error, errorId) =>
      printLine(terminal.stderr, plain(`error ${errorId}: ${describeDefect(error)}`)),
    ...(tokens.length === 0 ? {} : { auth: { tokens: tokens.map(knownToken) } }),
  });
  answer = wishes.verbose ? logged(api.fetch, terminal) : api.fetch;

  announce({ server, agents, dataDir, authenticated: tokens.length > 0, unfinished }, terminal);
  tellNotices(agents, config, notices);
  await whenAborted(interruption);
  printLine(
    terminal.stdout,
    `Stopping: runs come to the end of their step, for at most ${duration(config.drainMs)}; the next start goes on with them. Ctrl-C again ends at once.`,
  );
  await runtime.drain(config.drainMs);
  await server.close();
  return exitCodes.ok;
}

function knownToken({ token, ...sender }: BearerToken): KnownToken {
  return { ...sender, hash: hashToken(token) };
}

function overridesOf({ host, port, dataDir, drainTimeout }: ServeWishes) {
  return {
    ...(drainTimeout === undefined ? {} : { drainTimeout: checkedDuration("--drain-timeout", drainTimeout) }),
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port: readInteger("--port", port, { min: 0, max: 65_535 }) }),
    ...(dataDir === undefined ? {} : { dataDir }),
  };
}

/** `serve` refuses as well; here it is known which setting is missing. @throws AppError `invalid_config` */
function refuseOpenDoor(host: string): void {
  if (isLoopbackHost(host)) return;
  throw new AppError("invalid_config", `will not listen on ${host} without authentication`, {
    hint: "Whoever reaches the port could run commands. Set a token that callers have to send:\n  export HOLDFAST_TOKENS=$(openssl rand -hex 32)\nor listen on 127.0.0.1.",
  });
}

/** Whoever may use a session may switch it to the mode. @throws AppError `invalid_config` */
function refuseBypassFromOutside({ listen, publicUrl }: Config): void {
  const hosts = [listen.host, ...(publicUrl === null ? [] : [new URL(publicUrl).hostname])];
  const outside = hosts.find((host) => !isLoopbackHost(host));
  if (outside === undefined) return;
  throw new AppError("invalid_config", `--allow-bypass is not for a server that others reach (${outside})`, {
    hint: "Listen on 127.0.0.1 without HOLDFAST_PUBLIC_URL, or leave the option out and write rules instead.",
  });
}

/** One agent keeps its sessions beside its harness.json; several need one place. */
function commonDataDir(agents: readonly LoadedAgent[], config: Config, cwd: string): string {
  const [first, ...others] = agents;
  const isSingle = first !== undefined && others.length === 0;
  return isSingle ? dataDirOf(config, first.file) : (config.dataDir ?? join(cwd, ".holdfast"));
}

/** Sessions that had work when this process started. */
async function countUnfinished({ sessions }: Runtime): Promise<number> {
  const statuses: readonly SessionStatus[] = ["running", "queued"];
  const lists = await Promise.all(statuses.map((status) => sessions.list({ status, limit: 1000 })));
  return lists.flat().length;
}

interface Serving {
  readonly server: HttpServer;
  readonly agents: readonly LoadedAgent[];
  readonly dataDir: string;
  readonly authenticated: boolean;
  readonly unfinished: number;
}

function announce({ server, agents, dataDir, authenticated, unfinished }: Serving, terminal: Terminal): void {
  const { stdout, env, cwd } = terminal;
  const style = stylerFor(stdout, env);
  const row = (name: string, value: string) =>
    printLine(stdout, `  ${style("dim", name.padEnd(8))} ${value}`);
  printLine(stdout, `${style("bold", "Holdfast")} serves at ${style(["bold", "cyan"], server.url)}`);
  for (const { agent } of agents) row("agent", `${style("bold", agent.name)} (${oneLine(agent.model.id)})`);
  row("data", plain(shortPath(dataDir, cwd)));
  row(
    "access",
    authenticated ? "callers need a token (HOLDFAST_TOKEN)" : "this machine only, without a token",
  );
  if (unfinished > 0) row("resumed", `${plural(unfinished, "session")} with unfinished work`);
  row("try", style("cyan", exampleCall(server.url, agents)));
}

function exampleCall(url: string, agents: readonly LoadedAgent[]): string {
  const name = agents.length > 1 ? `${agents[0]?.agent.name} ` : "";
  const option = url === "http://127.0.0.1:8080" ? "" : ` --url ${shellWord(url)}`;
  return `holdfast invoke ${name}"..."${option}`;
}

function tellNotices(agents: readonly LoadedAgent[], config: Config, notices: Notices): void {
  const facts = provideModelFacts(createCatalogue());
  for (const { agent, model } of agents) {
    if (model.type === "missing")
      notices.tell(`${agent.name} cannot answer: ${model.message}. ${model.hint}`);
    if (model.type === "scripted" && model.notice !== null) notices.tell(model.notice);
    const worstCase: Knowledge["worstCase"] = (...call) => facts.worstCase(agent, ...call);
    for (const warning of unpricedBudgets(agent, worstCase, config.tenantDailyUsd)) {
      notices.tell(`${agent.name}: ${warning}`);
    }
  }
  const told = agents.find(({ agent }) => agent.approvals.webhook !== null);
  if (told !== undefined && config.publicUrl === null) {
    notices.tell(
      `the links that the webhook of ${told.agent.name} is sent are for this machine: set HOLDFAST_PUBLIC_URL to where people reach it`,
    );
  }
  for (const warning of config.warnings) notices.tell(warning);
}

/** One line for each request: method, path, status, time until the answer began. */
function logged(next: Answer, { stdout }: Terminal): Answer {
  return async (request, env) => {
    const began = systemClock.monotonic();
    const response = await next(request, env);
    const time = duration(systemClock.monotonic() - began);
    printLine(stdout, `${oneLine(request.method)} ${pathOf(request)} ${response.status} ${time}`);
    return response;
  };
}

/** Whoever reads the log is not to answer in the place of those who were sent a link. */
function pathOf({ url }: Request): string {
  const { pathname } = new URL(url);
  return pathname.startsWith(LINK_PATH) ? `${LINK_PATH}...` : pathname;
}

function describeDefect(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? error.stack : errorMessage(error);
}

function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
