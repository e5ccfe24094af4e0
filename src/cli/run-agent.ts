import { chooseModel, modelIdPattern } from "../agents/choose-model.ts";
import type { LoadedAgent } from "../agents/load.ts";
import { type Config, dataDirOf, readConfig } from "../config.ts";
import { AppError } from "../lib/errors.ts";
import { isDirectory } from "../lib/files.ts";
import { newId } from "../lib/ids.ts";
import type { SessionRecord } from "../log/session-log.ts";
import { knownProviders } from "../models/ai-sdk/providers.ts";
import { openRuntime } from "../runtime.ts";
import { exitCodes } from "./exit.ts";
import { checkUploads, upload } from "./files.ts";
import { loadOneAgent } from "./find-agents.ts";
import { ONE_SHOT, readSessions, unknownSession } from "./local-sessions.ts";
import { createNotices, isNewSession } from "./notices.ts";
import { entriesOfOpenRun, titleOf } from "./open-run.ts";
import { placeWords } from "./place-words.ts";
import { readPrompt } from "./prompt.ts";
import { readMode } from "./read-mode.ts";
import { messageOf, type SendingWishes, userName } from "./sending.ts";
import { getSession } from "./sessions/session.ts";
import { shortPath } from "./short-path.ts";
import type { Terminal } from "./terminal.ts";
import { type MadeSession, watchRun } from "./watch-run.ts";

export interface RunWishes extends SendingWishes {
  readonly prompt: string | undefined;
  readonly agent: string | undefined;
  readonly session: string | undefined;
  readonly continueLatest: boolean;
  readonly files: readonly string[];
  readonly dataDir: string | undefined;
  readonly allowBypass: boolean;
  readonly json: boolean;
}

/** `holdfast run`. What can be wrong is found before anything is created. */
export async function runAgent(wishes: RunWishes, terminal: Terminal): Promise<number> {
  const config = readConfig(overridesOf(wishes), terminal.env);
  const loaded = await loadOneAgent(wishes.agent ?? ".", terminal.cwd, config);
  checkModel(loaded, wishes.model, config);
  const uploads = await checkUploads(wishes.files, terminal.cwd);
  const prompt = await promptOf(wishes, terminal);
  const asked = { ...wishes, actor: wishes.actor ?? userName() };
  if (prompt !== null) messageOf(prompt, asked);
  const dataDir = dataDirOf(config, loaded.file);
  const known = await findSession(wishes, { dataDir, config, agent: loaded.agent.name });
  if (prompt === null) requireOpenRun(known);

  const interruption = terminal.interruption();
  const notices = createNotices(terminal, { json: wishes.json });
  if (wishes.model === undefined && loaded.model.type === "scripted" && loaded.model.notice !== null) {
    notices.tell(loaded.model.notice);
  }
  for (const warning of config.warnings) notices.tell(warning);

  const sessionId = known?.id ?? wishes.session ?? newId("s");
  await using runtime = await openRuntime({
    agents: [loaded.file],
    dataDir,
    config,
    work: { only: sessionId },
    ...ONE_SHOT,
    notify: notices.tell,
    allowBypass: wishes.allowBypass,
  });
  const { sessions } = runtime;
  if (known === null) await runtime.session({ id: sessionId, title: titleOf(prompt ?? "") });
  for (const file of uploads) await upload(await sessions.sandbox(sessionId), file);
  const record = known ?? (await sessions.get(sessionId));
  const earlier = await entriesOfOpenRun(sessions, record);
  if (interruption.aborted) return exitCodes.interrupted;
  if (prompt === null && wishes.mode !== undefined) {
    await sessions.setMode(sessionId, readMode("--mode", wishes.mode), asked.actor);
  }
  if (earlier.length > 0) notices.tell("taking up the run that was left unfinished");
  return await watchRun(
    {
      sessions,
      sessionId,
      made: known === null ? madeFor(wishes) : null,
      earlier,
      after: earlier.at(-1)?.seq ?? record.headSeq,
      message: prompt === null ? null : messageOf(prompt, asked),
      actor: asked.actor,
      switched: wishes.mode !== undefined,
      workspace: () => existing(runtime.workspacePath(sessionId), terminal.cwd),
      next: continueCommand(sessionId, wishes),
      resume: ["holdfast run", ...placeOf(wishes), "--session", sessionId].join(" "),
      place: placeOf(wishes),
    },
    { json: wishes.json, notices, terminal },
  );
}

function overridesOf({ dataDir }: RunWishes): { readonly dataDir?: string } {
  return dataDir === undefined ? {} : { dataDir };
}

/** @throws AppError `invalid_config` when no answer can be had from the model, `invalid_input` for a bad id. */
function checkModel(
  { model: chosen, agent }: LoadedAgent,
  wanted: string | undefined,
  { models }: Config,
): void {
  if (wanted !== undefined && !modelIdPattern.test(wanted)) {
    throw new AppError("invalid_input", `${JSON.stringify(wanted)} is not a model's id`, {
      hint: 'Write it as "provider/name", for example "anthropic/claude-sonnet-4-6".',
    });
  }
  const isOther = wanted !== undefined && wanted !== agent.model.id;
  const baseUrl = chosen.type === "provider" && sameProvider(chosen.id, wanted ?? "") ? chosen.baseUrl : null;
  if (isOther && baseUrl === null) requireKnownProvider(wanted);
  const choice = isOther ? chooseModel({ id: wanted, baseUrl, script: null }, models) : chosen;
  if (choice.type === "missing") throw new AppError("invalid_config", choice.message, { hint: choice.hint });
}

/** @throws AppError `invalid_input` */
function requireKnownProvider(modelId: string): void {
  const [provider = ""] = modelId.split("/", 1);
  const names = knownProviders.map(({ name }) => name);
  if (provider === "scripted" || names.includes(provider)) return;
  throw new AppError("invalid_input", `--model ${modelId}: there is no provider "${provider}"`, {
    hint: `Known: ${names.join(", ")}. Another one needs model.baseUrl in harness.json.`,
  });
}

function sameProvider(a: string, b: string): boolean {
  return a.split("/", 1)[0] === b.split("/", 1)[0];
}

/** Null when the run that is under way is meant. */
async function promptOf(wishes: RunWishes, terminal: Terminal): Promise<string | null> {
  const continues = wishes.session !== undefined || wishes.continueLatest;
  if (wishes.prompt === undefined && continues) return null;
  return readPrompt(wishes.prompt, terminal);
}

/** The session that is meant; null for one that is to be made. @throws AppError `not_found`, `conflict` */
async function findSession(
  { session: id, continueLatest, prompt }: RunWishes,
  { agent, ...place }: { readonly dataDir: string; readonly config: Config; readonly agent: string },
): Promise<SessionRecord | null> {
  if (id === undefined && !continueLatest) return null;
  const found = await readSessions(place, async (sessions) => {
    if (id === undefined) return (await sessions.list({ agent, limit: 1 }))[0];
    if (prompt === undefined) return getSession(sessions, id);
    return await sessions.get(id).catch(() => undefined);
  });
  if (found === undefined && id === undefined) {
    throw new AppError("not_found", `the agent ${agent} has no session to continue`, {
      hint: 'Begin one with: holdfast run "..."',
    });
  }
  if (found === undefined && id !== undefined && prompt === undefined) throw unknownSession(id, []);
  if (found !== undefined && found.agent !== agent) {
    throw new AppError("conflict", `the session ${found.id} belongs to the agent "${found.agent}"`, {
      hint: "Name that agent with --agent, or another session.",
    });
  }
  return found ?? null;
}

/** @throws AppError `conflict` */
function requireOpenRun(session: SessionRecord | null): void {
  if (session === null || session.status !== "idle") return;
  const ended = session.lastRunEnd === null ? "has not been asked anything" : `ended (${session.lastRunEnd})`;
  throw new AppError("conflict", `the session ${session.id} has no unfinished run: it ${ended}`, {
    hint: `Ask something: holdfast run --session ${session.id} "..."`,
  });
}

function madeFor({ session }: RunWishes): MadeSession {
  return { notice: session === undefined ? null : isNewSession(session) };
}

/** Null when nothing is there. */
async function existing(path: string, cwd: string): Promise<string | null> {
  return (await isDirectory(path)) ? shortPath(path, cwd) : null;
}

function continueCommand(sessionId: string, wishes: RunWishes): string {
  return ["holdfast run", ...placeOf(wishes), "--session", sessionId, '"..."'].join(" ");
}

function placeOf({ agent, dataDir }: RunWishes): readonly string[] {
  return placeWords({ agentPath: agent, dataDir });
}
