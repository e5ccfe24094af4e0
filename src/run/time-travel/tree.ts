import type { Entry } from "../../log/entry.ts";
import type { SessionLog, SessionRecord } from "../../log/session-log.ts";
import { sessionPatch } from "../../log/session-patch.ts";
import { pointAt } from "./points.ts";
import type { Branch, EntryPlace, SessionTree, TreeFork, TreePage, TreePoint } from "./time-travel.ts";

/** Entries in memory at once. */
const PAGE = 1_000;
const MAX_POINTS = 1_000;
const MAX_FORKS = 1_000;

/** Reads the whole log once, in pages; what it keeps of it are its branches, and the latest of the points. */
export async function readTree(
  session: SessionRecord,
  log: Pick<SessionLog, "read" | "sessions">,
  { before = Number.MAX_SAFE_INTEGER, limit = 200 }: TreePage = {},
): Promise<SessionTree> {
  const branches: Growing[] = [];
  const positions = new Map<string, number>();
  const points: { readonly point: TreePoint; readonly branch: Growing }[] = [];
  let earlierPoints = 0;
  for await (const entry of entriesOf(session, log)) {
    positions.set(entry.id, entry.seq);
    const branch = branchOf(entry, branches, positions);
    add(branch, entry);
    const point = entry.seq < before ? pointAt(entry) : undefined;
    if (point === undefined) continue;
    points.push({ point, branch });
    if (points.length <= Math.min(limit, MAX_POINTS)) continue;
    points.shift();
    earlierPoints += 1;
  }
  for (const { point, branch } of points) branch.points.push(point);
  markPath(branches, session.headSeq);
  return {
    sessionId: session.id,
    head: { entryId: session.headId ?? "", seq: session.headSeq },
    forkedFrom: session.forkedFrom,
    branches: branches.map(({ lastId: _, ...branch }) => branch),
    forks: await forksOf(session, log, positions),
    earlierPoints,
  };
}

/** A branch while its entries are read. */
type Growing = { -readonly [Key in keyof Branch]: Branch[Key] } & {
  readonly points: TreePoint[];
  lastId: string;
};

async function* entriesOf(
  { id, headSeq }: SessionRecord,
  log: Pick<SessionLog, "read">,
): AsyncGenerator<Entry> {
  for (let after = 0; after < headSeq; ) {
    const page = await log.read(id, after, PAGE);
    if (page.length === 0) return;
    // What is appended meanwhile belongs to a later look.
    yield* page.filter(({ seq }) => seq <= headSeq);
    after = page.at(-1)?.seq ?? headSeq;
  }
}

/** The branch that grows, or a new one: of a fork, or where the head was moved. */
function branchOf(entry: Entry, branches: Growing[], positions: ReadonlyMap<string, number>): Growing {
  const { id: entryId, seq, parentId, sessionId, at } = entry;
  const last = branches.at(-1);
  if (last !== undefined && last.lastId === parentId && last.sessionId === sessionId) {
    if (entry.type !== "headMoved") return last;
  }
  const from: EntryPlace | null =
    parentId === null ? null : { entryId: parentId, seq: positions.get(parentId) ?? 0 };
  const branch: Growing = {
    ...{ sessionId, from, first: { entryId, seq }, last: { entryId, seq }, lastId: entryId },
    ...{ startedAt: at, endedAt: at, isHead: false, onPathUpTo: null },
    ...{ messages: 0, turns: 0, costUsd: 0, unpricedCalls: 0, points: [] },
  };
  branches.push(branch);
  return branch;
}

function add(branch: Growing, entry: Entry): void {
  const { turns, costUsd, unpricedCalls } = sessionPatch([entry]);
  branch.last = { entryId: entry.id, seq: entry.seq };
  branch.lastId = entry.id;
  branch.endedAt = entry.at;
  branch.messages += entry.type === "userMessage" ? 1 : 0;
  branch.turns += turns;
  branch.costUsd += costUsd;
  branch.unpricedCalls += unpricedCalls;
}

function markPath(branches: readonly Growing[], head: number): void {
  let position: number | undefined = head;
  for (const branch of branches.toReversed()) {
    if (position === undefined || position < branch.first.seq) continue;
    branch.isHead = position === head && branch.last.seq === head;
    branch.onPathUpTo = position;
    position = branch.from?.seq;
  }
}

async function forksOf(
  { id }: SessionRecord,
  log: Pick<SessionLog, "sessions">,
  positions: ReadonlyMap<string, number>,
): Promise<TreeFork[]> {
  const forks = await log.sessions({ forkOf: id, limit: MAX_FORKS });
  return forks.map(({ id: sessionId, forkedFrom, ...fork }) => {
    const { title, status, turns, costUsd, unpricedCalls, createdAt, updatedAt } = fork;
    const at = forkedFrom?.entryId ?? "";
    const seq = positions.get(at) ?? null;
    return { sessionId, at, seq, title, status, turns, costUsd, unpricedCalls, createdAt, updatedAt };
  });
}
