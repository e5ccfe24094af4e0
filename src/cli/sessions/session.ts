import { dirname, join, resolve } from "node:path";
import { loadAgent } from "../../agents/load.ts";
import { type Config, readConfig } from "../../config.ts";
import { AppError, isAppError } from "../../lib/errors.ts";
import { isDirectory } from "../../lib/files.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import type { Sessions } from "../../run/session/sessions.ts";
import { openRuntime } from "../../runtime.ts";
import { builtinTools } from "../../tools/builtin/builtin.ts";
import { connect } from "../connect.ts";
import { findHarnessFiles } from "../find-agents.ts";
import { hasSessions, unknownSession } from "../local-sessions.ts";
import { createNotices } from "../notices.ts";
import type { Terminal } from "../terminal.ts";

/** Where the sessions are that a command is about: on a server, or in a data directory of this machine. */
export interface PlaceWishes {
  readonly url: string | undefined;
  readonly dataDir: string | undefined;
  /** The folder or harness.json of the agent whose sessions are meant. */
  readonly agentPath: string | undefined;
  /** Make the data directory where there is none. Default: that is an error, since reading must not make one. */
  readonly make?: boolean;
  /** Notices are for programs. */
  readonly json?: boolean;
}

/** Sessions to look at. Nothing is worked on. */
export interface Place extends AsyncDisposable {
  readonly sessions: Omit<Sessions, "sandbox">;
  /** Null for a server. */
  readonly local: LocalPlace | null;
}

export interface LocalPlace {
  readonly dataDir: string;
  readonly config: Config;
  /** Where an agent may be: harness.json files, or folders in which they are looked for. */
  readonly agentPaths: readonly string[];
}

/**
 * The server of `--url`; else a data directory that is named, or an agent's; else the server of HOLDFAST_URL, which is told;
 * else the data directory of the agent where one stands.
 * @throws AppError `not_found` when the data directory has never been used; reading must not make one.
 */
export async function openPlace(wishes: PlaceWishes, terminal: Terminal): Promise<Place> {
  const { url, dataDir, agentPath } = wishes;
  const isElsewhere = terminal.env.HOLDFAST_URL !== undefined && terminal.env.HOLDFAST_URL !== "";
  if (url === undefined && (!isElsewhere || dataDir !== undefined || agentPath !== undefined)) {
    return openLocalPlace(wishes, terminal);
  }
  const { client, config } = connect(url, terminal);
  if (url === undefined) {
    const notices = createNotices(terminal, { json: wishes.json === true });
    notices.tell(`asking the server at ${config.serverUrl} (HOLDFAST_URL)`);
  }
  return { sessions: client, local: null, async [Symbol.asyncDispose]() {} };
}

/** @throws AppError `not_found` */
export async function openLocalPlace(
  wishes: Omit<PlaceWishes, "url">,
  terminal: Terminal,
): Promise<Place & { readonly local: LocalPlace }> {
  const config = readConfig(wishes.dataDir === undefined ? {} : { dataDir: wishes.dataDir }, terminal.env);
  const harness = resolve(terminal.cwd, wishes.agentPath ?? ".");
  const folder = (await isDirectory(harness)) ? harness : dirname(harness);
  const dataDir = config.dataDir ?? join(folder, ".holdfast");
  if (wishes.make !== true && !(await hasSessions(dataDir))) {
    throw new AppError("not_found", `there are no sessions in ${dataDir}`, {
      hint: "Go to the agent's folder, name the place with --data-dir, or a server with --url.",
    });
  }
  const runtime = await openRuntime({ agents: [], work: "none", config, dataDir });
  return {
    sessions: runtime.sessions,
    local: { dataDir, config, agentPaths: [harness, dirname(dataDir)] },
    [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose](),
  };
}

/** @throws AppError `not_found` that names the nearest session. */
export async function getSession(
  sessions: Pick<Sessions, "get" | "list">,
  id: string,
): Promise<SessionRecord> {
  try {
    return await sessions.get(id);
  } catch (error) {
    // An id that no session can have does not get as far as being looked up on a server.
    if (!isAppError(error, "not_found") && !isAppError(error, "invalid_input")) throw error;
    const known = await sessions.list({ limit: 1000 });
    throw unknownSession(
      id,
      known.map((session) => session.id),
    );
  }
}

/**
 * The harness.json of a session's agent: looked for where one stands (or where one said), and beside the data directory.
 * @throws AppError `not_found`
 */
export async function harnessOf(
  { agent }: SessionRecord,
  { agentPaths, config }: LocalPlace,
): Promise<string> {
  const found = await Promise.all(
    agentPaths.map(async (path) => ((await isDirectory(path)) ? findHarnessFiles(path) : [path])),
  );
  for (const file of new Set(found.flat())) {
    const result = await loadAgent(file, { builtinTools: builtinTools(), models: config.models });
    if (result.ok && result.loaded.agent.name === agent) return file;
  }
  throw new AppError("not_found", `the agent "${agent}" of this session is not here`, {
    hint: "Name its folder with --agent, or ask its server with --url.",
  });
}
