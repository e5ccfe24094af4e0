import { isAppError } from "../../lib/errors.ts";
import type { Entry } from "../../log/entry.ts";
import type { SessionLog, SessionRecord } from "../../log/session-log.ts";
import { sessionPatch } from "../../log/session-patch.ts";
import { compareFiles } from "./compare-files.ts";
import type { FilesOf, SessionFiles } from "./files.ts";
import { textIn } from "./points.ts";
import type { ComparedSide, Comparison, EntryPlace, FileDifferences } from "./time-travel.ts";

const MAX_MESSAGES = 100;

export interface ComparePorts {
  readonly log: Pick<SessionLog, "divergence" | "path">;
  readonly files: SessionFiles;
  /** The agent of a session; undefined where it is not served here. */
  readonly agentOf: (session: SessionRecord) => FilesOf | undefined;
}

/** Reads of the two logs only what stands behind the point at which they part. */
export async function compareSessions(
  one: SessionRecord,
  other: SessionRecord,
  ports: ComparePorts,
): Promise<Comparison> {
  const common = (await ports.log.divergence(one.id, other.id)) ?? null;
  const [oneSide, otherSide, files] = await Promise.all([
    sideOf(one, common, ports),
    sideOf(other, common, ports),
    filesOf(one, other, ports),
  ]);
  return { common, one: oneSide, other: otherSide, files };
}

async function sideOf(
  session: SessionRecord,
  common: EntryPlace | null,
  { log }: ComparePorts,
): Promise<ComparedSide> {
  const entries = await log.path(session.id, session.headId ?? undefined, common?.seq ?? 0);
  const { turns, usage, costUsd, unpricedCalls, lastRunEnd } = sessionPatch(entries);
  return {
    sessionId: session.id,
    head: { entryId: session.headId ?? "", seq: session.headSeq },
    status: session.status,
    lastRunEnd: lastRunEnd ?? null,
    entries: entries.length,
    ...{ turns, usage, costUsd, unpricedCalls },
    durationMs: Math.max(0, (entries.at(-1)?.at ?? 0) - (entries[0]?.at ?? 0)),
    messages: entries.flatMap(messageIn).slice(-MAX_MESSAGES),
    calls: callsIn(entries),
  };
}

function messageIn(entry: Entry): ComparedSide["messages"] {
  if (entry.type !== "userMessage" && entry.type !== "assistantMessage") return [];
  const hasText = entry.blocks.some(({ type }) => type === "text");
  if (entry.type === "assistantMessage" && !hasText) return [];
  const from = entry.type === "userMessage" ? "user" : "model";
  return [{ from, at: entry.at, text: textIn(entry.blocks) }];
}

function callsIn(entries: readonly Entry[]): ComparedSide["calls"] {
  const calls = entries.flatMap((entry) => (entry.type === "toolFinished" ? [entry] : []));
  const groups = Map.groupBy(calls, ({ name, outcome }) => `${name}\n${outcome}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [{ name: first.name, outcome: first.outcome, count: group.length }];
  });
}

/** As they are now: whoever compares wants to know what is there. Keeping them is cheap, and makes two plain lists of them. */
async function filesOf(
  one: SessionRecord,
  other: SessionRecord,
  { files, agentOf }: ComparePorts,
): Promise<FileDifferences | null> {
  const take = async (session: SessionRecord) => {
    await files.ready(session.id);
    return files.keep(session.id, agentOf(session), null).catch(orNone);
  };
  const [before, after] = [await take(one), await take(other)];
  if (before === null || after === null) return null;
  const differences = await compareFiles(before.id, after.id, files.contents);
  return { ...differences, skipped: before.skipped.length + after.skipped.length };
}

/** Nobody has used them yet, and the agent that knows what they will be is not here. */
function orNone(error: unknown): null {
  if (isAppError(error, "unavailable")) return null;
  throw error;
}
