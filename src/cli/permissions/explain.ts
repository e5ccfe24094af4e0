import { resolve } from "node:path";
import type { Agent } from "../../agents/agent.ts";
import { readConfig } from "../../config.ts";
import { AppError, errorMessage, isAppError } from "../../lib/errors.ts";
import { isDirectory, isFile } from "../../lib/files.ts";
import type { Entry } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import { emptyState } from "../../log/state.ts";
import {
  type CallExplanation,
  type ExplainSituation,
  explainCall,
  explainPastCall,
} from "../../run/session/explain-call.ts";
import { callsOf } from "../../run/session/past-call.ts";
import { exitCodes } from "../exit.ts";
import { loadOneAgent } from "../find-agents.ts";
import { createNotices } from "../notices.ts";
import { bypassNote } from "../permission-notes.ts";
import { readMode } from "../read-mode.ts";
import { callLine } from "../render/call-line.ts";
import { explanationLines } from "../render/explanation.ts";
import { oneLine } from "../render/plain.ts";
import { getSession, openPlace, type PlaceWishes } from "../sessions/session.ts";
import { allEntries } from "../sessions/show.ts";
import { withAgent } from "../sessions/with-agent.ts";
import { printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";
import { addedRules } from "./permission.ts";

export interface ExplainWishes extends PlaceWishes {
  /** Undefined: a call that no session has made, by what its agent says. */
  readonly session: string | undefined;
  /** Its id, or the beginning of it. */
  readonly call: string | undefined;
  readonly tool: string | undefined;
  readonly input: string | undefined;
  readonly mode: string | undefined;
  readonly json: boolean;
}

/** `holdfast permissions explain` */
export async function explain(wishes: ExplainWishes, terminal: Terminal): Promise<number> {
  checkWishes(wishes);
  const explanation =
    wishes.session === undefined ? await withoutSession(wishes, terminal) : await inSession(wishes, terminal);
  if (wishes.json) printJson(terminal, explanation);
  else {
    const { stdout, env } = terminal;
    for (const line of explanationLines(explanation, stylerFor(stdout, env))) printLine(stdout, line);
  }
  return exitCodes.ok;
}

/** @throws AppError `invalid_input` */
function checkWishes({ session, call, tool, input, mode }: ExplainWishes): void {
  if ((call === undefined) === (tool === undefined)) {
    throw new AppError(
      "invalid_input",
      "say which call: the id of one that was made, or --tool and --input",
      {
        hint:
          session === undefined
            ? `holdfast permissions explain --tool shell --input '{"command":"git push"}' --agent ./my-agent`
            : `holdfast sessions show ${session} --json lists the calls; the beginning of an id is enough.`,
      },
    );
  }
  if (call !== undefined && input !== undefined) {
    throw new AppError(
      "invalid_input",
      "--input belongs to --tool: a call that was made has its own arguments",
    );
  }
  if (mode !== undefined) readMode("--mode", mode);
}

function questionOf({ tool = "", input = "{}" }: ExplainWishes) {
  try {
    return { tool, input: JSON.parse(input) as unknown };
  } catch (error) {
    throw new AppError("invalid_input", `--input is not JSON: ${errorMessage(error)}`, {
      hint: `Write it like --input '{"command":"git push"}'.`,
    });
  }
}

async function withoutSession(wishes: ExplainWishes, terminal: Terminal): Promise<CallExplanation> {
  const config = readConfig({}, terminal.env);
  const { agent } = await loadOneAgent(wishes.agentPath ?? ".", terminal.cwd, config);
  const situation = inMode({ agent, state: emptyState(), added: [] }, wishes, terminal);
  return explainCall(questionOf(wishes), situation);
}

/** The situation in the mode that was asked for, whether or not a session could be switched to it here. */
function inMode(
  { agent, state, added }: ExplainSituation,
  { mode, json }: ExplainWishes,
  terminal: Terminal,
): ExplainSituation {
  if (mode === undefined) return { agent, state, added };
  const wanted = readMode("--mode", mode);
  const { permissions } = agent;
  if (wanted !== "bypass" || permissions.mayBypass) {
    return { agent, state: { ...state, mode: wanted }, added };
  }
  createNotices(terminal, { json }).tell(`this is as if it were allowed: ${bypassNote(agent.sandbox)}`);
  return {
    agent: { ...agent, permissions: { ...permissions, mayBypass: true } },
    state: { ...state, mode: wanted },
    added,
  };
}

async function inSession(wishes: ExplainWishes, terminal: Terminal): Promise<CallExplanation> {
  await using place = await openPlace(wishes, terminal);
  const session = await getSession(place.sessions, wishes.session ?? "");
  await using at = await withAgent(place, session, terminal, wishes.json);
  const entries = await Array.fromAsync(allEntries(at.sessions, session));
  // A server has the agent, and explains what was done. What might be done it leaves to those who have its rules.
  if (place.local === null && wishes.call !== undefined && wishes.mode === undefined) {
    return at.sessions.explain(session.id, callNamed(wishes.call, entries));
  }
  const agent = at.agent ?? (await agentHere(session.agent, wishes, terminal));
  const added = await addedRules(session.agent, at.sessions);
  const situation = inMode({ agent, state: fold(entries), added }, wishes, terminal);
  if (wishes.call === undefined) return explainCall(questionOf(wishes), situation);
  const found = explainPastCall(callNamed(wishes.call, entries), entries, situation);
  if (found === null) throw new AppError("not_found", `the session has no call "${wishes.call}"`);
  return found;
}

/** The rules count, and a server does not tell those of harness.json. @throws AppError `not_found` */
async function agentHere(
  name: string,
  { agentPath, url }: ExplainWishes,
  terminal: Terminal,
): Promise<Agent> {
  const path = agentPath ?? ".";
  const file = resolve(terminal.cwd, path);
  if ((await isFile(file)) || (await isDirectory(file))) {
    const loaded = await loadOneAgent(path, terminal.cwd, readConfig({}, terminal.env)).catch(
      (error: unknown) => {
        if (agentPath === undefined && isAppError(error, "invalid_config")) return null;
        throw error;
      },
    );
    if (loaded?.agent.name === name) return loaded.agent;
  }
  throw new AppError("not_found", `the agent "${name}" is not here, and its rules decide`, {
    hint:
      url === undefined
        ? "Name its folder with --agent."
        : "Name its folder with --agent. A server itself explains calls that were made: their id, without --mode.",
  });
}

/** @throws AppError `not_found` or `conflict`, with the calls that there are */
function callNamed(wanted: string, entries: readonly Entry[]): string {
  const calls = callsOf(entries);
  const found = calls.filter(({ callId }) => callId === wanted || callId.startsWith(wanted));
  const [only, ...others] = found;
  if (only !== undefined && (others.length === 0 || only.callId === wanted)) return only.callId;
  const shown = (found.length > 0 ? found : calls).slice(-20);
  const lines = shown.map(
    ({ callId, tool, input }) =>
      `  ${oneLine(callId)}  ${oneLine(tool)}  ${callLine(tool, input).slice(0, 80)}`,
  );
  throw found.length > 0
    ? new AppError("conflict", `several calls begin with "${wanted}"`, { hint: lines.join("\n") })
    : new AppError("not_found", `the session has no call "${wanted}"`, {
        hint: lines.length === 0 ? "It has made none." : `The last ones:\n${lines.join("\n")}`,
      });
}
