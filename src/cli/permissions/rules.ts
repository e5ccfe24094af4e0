import type { Agent } from "../../agents/agent.ts";
import { AppError } from "../../lib/errors.ts";
import type { AddedRule } from "../../log/state.ts";
import { exitCodes } from "../exit.ts";
import { createNotices } from "../notices.ts";
import { oneLine } from "../render/plain.ts";
import { printTable } from "../render/table.ts";
import { getSession, openPlace, type PlaceWishes } from "../sessions/session.ts";
import { withAgent } from "../sessions/with-agent.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { actorFor, addedRules } from "./permission.ts";

export interface RulesWishes extends PlaceWishes {
  readonly session: string;
  readonly json: boolean;
}

/** A rule and where it is from. */
interface Row {
  readonly list: AddedRule["list"] | "breakpoint";
  readonly rule: string;
  readonly source: string;
}

/** `holdfast permissions rules` */
export async function listRules(wishes: RulesWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const session = await getSession(place.sessions, wishes.session);
  await using at = await withAgent(place, session, terminal, wishes.json);
  const { mode, rules: own } = await at.sessions.permissions(session.id);
  const agents = await addedRules(session.agent, at.sessions);
  const rows = [
    ...(at.agent === null ? [] : harnessRows(at.agent)),
    ...agents.map(({ list, rule }) => ({ list, rule, source: `all sessions of ${session.agent}` })),
    ...own.map(({ list, rule }) => ({ list, rule, source: "this session" })),
  ];
  if (at.agent === null) {
    createNotices(terminal, wishes).tell(
      `the rules of the agent's harness.json hold as well; they are not ${place.local === null ? "told by a server" : "here: name its folder with --agent"}`,
    );
  }
  if (wishes.json) {
    printJson(terminal, { sessionId: session.id, mode, rules: rows });
    return exitCodes.ok;
  }
  printLine(terminal.stdout, `mode ${mode}`);
  if (rows.length === 0) {
    printLine(terminal.stdout, at.agent === null ? "There are no others." : "There are no rules.");
  } else {
    printTable(
      COLUMNS,
      rows.map(({ list, rule, source }) => [list, oneLine(rule), oneLine(source)]),
      terminal,
    );
  }
  return exitCodes.ok;
}

const COLUMNS = [{ title: "LIST" }, { title: "RULE" }, { title: "FROM" }] as const;

function harnessRows({ permissions: { own, users } }: Agent): readonly Row[] {
  const of = (set: Pick<Agent["permissions"]["own"], "deny" | "ask" | "allow">, source: string) =>
    (["deny", "ask", "allow"] as const).flatMap((list) => set[list].map((rule) => ({ list, rule, source })));
  return [
    ...of(own, "harness.json"),
    ...own.breakpoints.map((rule) => ({ list: "breakpoint" as const, rule, source: "harness.json" })),
    ...[...users].flatMap(([name, set]) => of(set, `user ${name}`)),
  ];
}

export interface ChangeWishes extends RulesWishes {
  readonly rule: string;
  /** For all sessions of the agent. */
  readonly agentWide: boolean;
  readonly actor: string | undefined;
}

/** `holdfast permissions allow`, `ask`, `deny` */
export async function addRule(
  list: AddedRule["list"],
  wishes: ChangeWishes,
  terminal: Terminal,
): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const session = await getSession(place.sessions, wishes.session);
  const scope = wishes.agentWide ? "agent" : "session";
  const rule = { scope, list, rule: wishes.rule } as const;
  await place.sessions.addRule(session.id, rule, actorFor(place, wishes.actor));
  const where = wishes.agentWide ? `all sessions of ${session.agent}` : session.id;
  if (wishes.json) printJson(terminal, { sessionId: session.id, ...rule });
  else printLine(terminal.stdout, oneLine(`${list} ${wishes.rule}: a rule of ${where} from now on.`));
  return exitCodes.ok;
}

/** `holdfast permissions remove` @throws AppError `not_found`, `unsupported` */
export async function removeRule(
  wishes: Omit<ChangeWishes, "agentWide" | "actor">,
  terminal: Terminal,
): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const session = await getSession(place.sessions, wishes.session);
  await using at = await withAgent(place, session, terminal, wishes.json);
  const rules = await at.sessions.agentRules(session.agent);
  const found = rules.filter(({ rule }) => rule === wishes.rule);
  if (found.length === 0) throw await whyNot(wishes.rule, session.id, at.sessions);
  for (const { list, rule } of found) await at.sessions.removeAgentRule(session.agent, { list, rule });
  const removed = found.map(({ list, rule }) => ({ list, rule }));
  if (wishes.json) printJson(terminal, { agent: session.agent, removed });
  else
    for (const { list, rule } of removed)
      printLine(terminal.stdout, oneLine(`${list} ${rule}: gone from all sessions of ${session.agent}.`));
  return exitCodes.ok;
}

async function whyNot(
  rule: string,
  sessionId: string,
  sessions: { permissions(id: string): Promise<{ readonly rules: readonly AddedRule[] }> },
): Promise<AppError> {
  const own = (await sessions.permissions(sessionId)).rules;
  if (own.some((each) => each.rule === rule)) {
    return new AppError(
      "unsupported",
      `"${rule}" is a rule of the session ${sessionId}, and stays as long as it does`,
      {
        hint: "A rule that asks or denies is stronger than one that allows: holdfast permissions ask, holdfast permissions deny.",
      },
    );
  }
  return new AppError("not_found", `nobody has made a rule "${rule}"`, {
    hint: "`holdfast permissions rules` lists them; those of harness.json are changed there.",
  });
}
