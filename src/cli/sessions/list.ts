import { nextSessionCursor, readSessionCursor } from "../../http/session-cursor.ts";
import { systemClock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import type { SessionFilter, SessionRecord, SessionStatus } from "../../log/session-log.ts";
import type { Sessions } from "../../run/session/sessions.ts";
import { exitCodes } from "../exit.ts";
import { sessionsLeftBehind } from "../local-sessions.ts";
import { readInteger } from "../read-number.ts";
import { age, count, dollars } from "../render/figures.ts";
import { cut, oneLine } from "../render/plain.ts";
import { columnsOf, printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";
import { openPlace, type Place, type PlaceWishes } from "./session.ts";

export interface ListWishes extends PlaceWishes {
  readonly agent: string | undefined;
  readonly status: string | undefined;
  readonly ended: string | undefined;
  readonly limit: string | undefined;
  readonly after: string | undefined;
  readonly json: boolean;
}

/** `holdfast sessions list` */
export async function listSessions(wishes: ListWishes, terminal: Terminal): Promise<number> {
  const limit = readInteger("--limit", wishes.limit ?? "20", { min: 1, max: 1000 });
  const status = readStatus(wishes.status);
  const ended = readEnded(wishes.ended);
  await using place = await openPlace(wishes, terminal);
  const filter = {
    ...(wishes.after === undefined ? {} : { after: readSessionCursor(wishes.after) }),
    ...(wishes.agent === undefined ? {} : { agent: wishes.agent }),
    ...(status === undefined ? {} : { status }),
  };
  const sessions =
    ended === undefined
      ? await place.sessions.list({ limit, ...filter })
      : await endedSo(ended, place.sessions, { limit, ...filter });
  const next = nextSessionCursor(sessions, limit);
  if (wishes.json) printJson(terminal, { sessions, next });
  else printTable(sessions, { next, leftBehind: await leftBehindOf(sessions, place) }, terminal);
  return exitCodes.ok;
}

/** Which of these run by their record, but are worked on by nobody. A server works on all that it has. */
async function leftBehindOf(
  sessions: readonly SessionRecord[],
  { local }: Place,
): Promise<ReadonlySet<string>> {
  if (local === null || sessions.every((session) => session.status !== "running")) return new Set();
  return await sessionsLeftBehind(local.dataDir);
}

const statuses: readonly SessionStatus[] = ["idle", "queued", "running", "waiting"];

function readStatus(text: string | undefined): SessionStatus | undefined {
  const status = statuses.find((known) => known === text);
  if (text === undefined || status !== undefined) return status;
  throw new AppError("invalid_input", `--status ${JSON.stringify(text)} is not known`, {
    hint: `Known: ${statuses.join(", ")}.`,
  });
}

const ends: readonly NonNullable<SessionRecord["lastRunEnd"]>[] = [
  "endTurn",
  "failed",
  "stopped",
  "turnLimit",
  "timeLimit",
  "maxTokens",
  "refused",
  "budget",
  "hook",
  "abandoned",
];

function readEnded(text: string | undefined): SessionRecord["lastRunEnd"] | undefined {
  const end = ends.find((known) => known === text);
  if (text === undefined || end !== undefined) return end;
  throw new AppError("invalid_input", `--ended ${JSON.stringify(text)} is not known`, {
    hint: `Known: ${ends.join(", ")}.`,
  });
}

/** A store does not look for it: page after page, until there are enough. */
async function endedSo(
  end: SessionRecord["lastRunEnd"],
  sessions: Pick<Sessions, "list">,
  { limit, after, ...filter }: SessionFilter & { readonly limit: number },
): Promise<readonly SessionRecord[]> {
  const found: SessionRecord[] = [];
  for (let from = after; ; ) {
    const page = await sessions.list({
      ...filter,
      limit: PAGE,
      ...(from === undefined ? {} : { after: from }),
    });
    found.push(...page.filter(({ lastRunEnd }) => lastRunEnd === end));
    from = page.at(-1);
    if (found.length >= limit || page.length < PAGE || from === undefined) return found.slice(0, limit);
  }
}

const PAGE = 1_000;

const titles = ["SESSION", "AGENT", "STATUS", "ENDED", "TURNS", "TOKENS", "COST", "CHANGED", "TITLE"];
const toTheRight = new Set([4, 5, 6, 7]);

function printTable(
  sessions: readonly SessionRecord[],
  { next, leftBehind }: { readonly next: string | null; readonly leftBehind: ReadonlySet<string> },
  terminal: Terminal,
): void {
  const { stdout, env } = terminal;
  if (sessions.length === 0) {
    printLine(stdout, "There are no such sessions.");
    return;
  }
  const style = stylerFor(stdout, env);
  const rows = sessions.map((session) =>
    cellsOf(session, { now: systemClock.now(), isLeftBehind: leftBehind.has(session.id) }),
  );
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const format = (cells: readonly string[]) => {
    const padded = cells.map((cell, i) =>
      toTheRight.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
    );
    const line = padded.join("  ").trimEnd();
    return stdout.isTTY === true ? cut(line, columnsOf(stdout)) : line;
  };
  printLine(stdout, style("dim", format(titles)));
  for (const row of rows) printLine(stdout, format(row));
  if (next !== null) printLine(stdout, style("dim", `There may be more: --after ${next}`));
}

function cellsOf(
  session: SessionRecord,
  { now, isLeftBehind }: { readonly now: number; readonly isLeftBehind: boolean },
): readonly string[] {
  const { usage, costUsd, unpricedCalls } = session;
  const all = usage.input + usage.cacheRead + usage.cacheWrite + usage.output;
  return [
    oneLine(session.id),
    oneLine(session.agent),
    session.status === "running" && isLeftBehind ? "unfinished" : oneLine(session.status),
    oneLine(session.lastRunEnd ?? "-"),
    String(session.turns),
    count(all),
    costOf(costUsd, unpricedCalls),
    age(now - session.updatedAt),
    cut(oneLine(session.title ?? ""), 60),
  ];
}

/** What is known of the cost: a lower bound where the price of some calls is not. */
function costOf(costUsd: number, unpricedCalls: number): string {
  if (unpricedCalls === 0) return dollars(costUsd);
  return costUsd === 0 ? "?" : `over ${dollars(costUsd)}`;
}
