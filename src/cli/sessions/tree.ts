import { systemClock } from "../../lib/clock.ts";
import { withoutUndefined } from "../../lib/json.ts";
import type { Branch, SessionTree, TreeFork, TreePoint } from "../../run/time-travel/time-travel.ts";
import { exitCodes } from "../exit.ts";
import { readInteger } from "../read-number.ts";
import { ago, dollars, plural } from "../render/figures.ts";
import { cut, oneLine } from "../render/plain.ts";
import { columnsOf, printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";
import { getSession, openPlace, type PlaceWishes } from "./session.ts";

export interface TreeWishes extends PlaceWishes {
  readonly session: string;
  readonly limit: string | undefined;
  readonly before: string | undefined;
  readonly json: boolean;
}

/** `holdfast sessions tree` */
export async function showTree(wishes: TreeWishes, terminal: Terminal): Promise<number> {
  const page = withoutUndefined({
    limit: readInteger("--limit", wishes.limit ?? "200", { min: 1, max: 1000 }),
    before:
      wishes.before === undefined
        ? undefined
        : readInteger("--before", wishes.before, { min: 1, max: Number.MAX_SAFE_INTEGER }),
  });
  await using place = await openPlace(wishes, terminal);
  const session = await getSession(place.sessions, wishes.session);
  const tree = await place.sessions.tree(session.id, page);
  if (wishes.json) printJson(terminal, tree);
  else printTree(tree, terminal);
  return exitCodes.ok;
}

function printTree(tree: SessionTree, terminal: Terminal): void {
  const { stdout, env } = terminal;
  const style = stylerFor(stdout, env);
  const print = (line: string, look?: "bold" | "dim") => {
    const fitting = stdout.isTTY === true ? cut(line, columnsOf(stdout)) : line;
    printLine(stdout, look === undefined ? fitting : style(look, fitting));
  };
  const { forkedFrom } = tree;
  if (forkedFrom !== null) {
    const { sessionId, entryId } = forkedFrom;
    print(oneLine(`forked from ${sessionId} at ${placeWords(entryId, seqOf(entryId, tree))}`), "dim");
  }
  if (tree.earlierPoints > 0) {
    const first = tree.branches.flatMap(({ points }) => points)[0];
    print(`${plural(tree.earlierPoints, "earlier place")}: --before ${first?.seq ?? 1}`, "dim");
  }
  const now = systemClock.now();
  for (const branch of tree.branches) {
    print(branchWords(branch, tree, now), "bold");
    for (const point of branch.points) print(pointWords(point, branch));
  }
  if (tree.forks.length > 0) print("forks", "bold");
  for (const fork of tree.forks) print(`  ${forkWords(fork, now)}`);
}

function branchWords(branch: Branch, { sessionId }: SessionTree, now: number): string {
  const { first, last, from, isHead, messages, turns, endedAt } = branch;
  return [
    first.seq === last.seq ? `#${first.seq}` : `#${first.seq} to #${last.seq}`,
    ...(branch.sessionId === sessionId ? [] : [`in ${oneLine(branch.sessionId)}`]),
    ...(from === null ? [] : [`from #${from.seq}`]),
    `${plural(messages, "message")}, ${plural(turns, "turn")}, ${costWords(branch)}, ${ago(now - endedAt)}`,
    ...(isHead ? ["<- it stands here"] : []),
  ].join("  ");
}

/** A star: on the way to where the session stands. */
function pointWords({ seq, kind, text }: TreePoint, { onPathUpTo }: Branch): string {
  const mark = onPathUpTo !== null && seq <= onPathUpTo ? "*" : " ";
  return `  ${mark} ${`#${seq}`.padEnd(6)} ${kind.padEnd(8)} ${oneLine(text)}`;
}

function forkWords(fork: TreeFork, now: number): string {
  const { sessionId, at, seq, status, turns, updatedAt, title } = fork;
  const facts = `${status}, ${plural(turns, "turn")}, ${costWords(fork)}, ${ago(now - updatedAt)}`;
  return `${oneLine(sessionId)}  at ${placeWords(at, seq)}  ${facts}${title === null ? "" : `  ${oneLine(title)}`}`;
}

/** Where a branch begins behind it. */
function seqOf(entryId: string, { branches }: SessionTree): number | null {
  return branches.find(({ from }) => from?.entryId === entryId)?.from?.seq ?? null;
}

function placeWords(entryId: string, seq: number | null | undefined): string {
  return typeof seq === "number" ? `#${seq}` : entryId;
}

function costWords({ costUsd, unpricedCalls }: Pick<Branch, "costUsd" | "unpricedCalls">): string {
  if (unpricedCalls === 0) return dollars(costUsd);
  return costUsd === 0 ? "unknown price" : `over ${dollars(costUsd)}`;
}
