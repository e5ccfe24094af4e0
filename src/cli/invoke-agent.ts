import type { Client } from "../http/client.ts";
import { AppError, isAppError } from "../lib/errors.ts";
import { nearest } from "../lib/json.ts";
import type { SessionRecord } from "../log/session-log.ts";
import { connect } from "./connect.ts";
import { createNotices, isNewSession } from "./notices.ts";
import { entriesOfOpenRun, titleOf } from "./open-run.ts";
import { placeWords } from "./place-words.ts";
import { readPrompt } from "./prompt.ts";
import { messageOf, type SendingWishes } from "./sending.ts";
import type { Terminal } from "./terminal.ts";
import { type MadeSession, watchRun } from "./watch-run.ts";

export interface InvokeWishes extends SendingWishes {
  readonly agent: string | undefined;
  readonly prompt: string | undefined;
  readonly url: string | undefined;
  readonly session: string | undefined;
  readonly json: boolean;
}

/** `holdfast invoke`: as `run`, on a server. */
export async function invokeAgent(wishes: InvokeWishes, terminal: Terminal): Promise<number> {
  const { client } = connect(wishes.url, terminal);
  const prompt = await readPrompt(wishes.prompt, terminal);
  const message = messageOf(prompt, wishes);
  const notices = createNotices(terminal, wishes);
  const { session, made } = await openSession(client, wishes, titleOf(prompt));
  const earlier = await entriesOfOpenRun(client, session);
  return watchRun(
    {
      sessions: client,
      sessionId: session.id,
      made,
      earlier,
      after: earlier.at(-1)?.seq ?? session.headSeq,
      message,
      switched: wishes.mode !== undefined,
      actor: wishes.actor,
      workspace: async () => null,
      next: continueCommand(session.id, wishes),
      resume: ["holdfast sessions tail", session.id, ...placeWords({ url: wishes.url })].join(" "),
      place: placeWords({ url: wishes.url }),
    },
    { json: wishes.json, notices, terminal },
  );
}

async function openSession(
  client: Client,
  { agent, session: id }: InvokeWishes,
  title: string,
): Promise<{ readonly session: SessionRecord; readonly made: MadeSession | null }> {
  const known = id === undefined ? undefined : await findSession(client, id);
  if (known === undefined) {
    const name = await chooseAgent(client, agent);
    const { session, created } = await client.create({
      agent: name,
      title,
      ...(id === undefined ? {} : { id }),
    });
    return { session, made: created ? { notice: id === undefined ? null : isNewSession(id) } : null };
  }
  if (agent === undefined || agent === known.agent) return { session: known, made: null };
  throw new AppError("conflict", `the session ${known.id} belongs to the agent "${known.agent}"`, {
    hint: "Name that agent, or another session.",
  });
}

async function findSession(client: Client, id: string): Promise<SessionRecord | undefined> {
  try {
    return await client.get(id);
  } catch (error) {
    if (isAppError(error, "not_found")) return undefined;
    throw error;
  }
}

/** @throws AppError `not_found` for an unknown agent, `invalid_input` where there are several to choose from. */
async function chooseAgent(client: Client, wanted: string | undefined): Promise<string> {
  const names = (await client.agents()).map(({ name }) => name);
  const [only, ...others] = names;
  if (wanted === undefined) {
    if (only !== undefined && others.length === 0) return only;
    throw new AppError("invalid_input", `which agent? This server has ${names.length}`, {
      hint: `Name one: ${names.map((name) => `holdfast invoke ${name} "..."`).join(", or ")}`,
    });
  }
  if (names.includes(wanted)) return wanted;
  const near = nearest(wanted, names);
  throw new AppError("not_found", `the server has no agent named "${wanted}"`, {
    hint: near === undefined ? `It has: ${names.join(", ")}.` : `Did you mean "${near}"?`,
  });
}

function continueCommand(sessionId: string, wishes: InvokeWishes): string {
  return ["holdfast invoke", ...placeWords({ url: wishes.url }), "--session", sessionId, '"..."'].join(" ");
}
