import { AppError, isAppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { withoutUndefined } from "../../lib/json.ts";
import { ENTRY_VERSION, type Entry, type WorkspaceOrigin } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import { canWaitInFork, permissionsOf } from "../../log/fold-branches.ts";
import type { SessionLog, SessionRecord } from "../../log/session-log.ts";
import { statusOf } from "../../log/state.ts";
import type { ForkedRun, ForkOptions } from "../../log/time-travel.ts";
import { findEntry, placeOf } from "./entry-ref.ts";
import type { FilesOf, SessionFiles } from "./files.ts";
import { BEGINNING, originAt, originIn } from "./origin.ts";
import type { Forked, ForkRequest } from "./time-travel.ts";

export interface ForkPorts {
  readonly log: SessionLog;
  readonly files: SessionFiles;
  /** Of the session; undefined where it is not served here. */
  readonly agent: FilesOf | undefined;
}

/**
 * The new session, and what its files have to become, are noted in one step; then the files follow. A process that dies in
 * between leaves a session whose files are put in order before anybody uses them: by the same request once more, or by its run.
 */
export async function forkSession(
  source: SessionRecord,
  request: ForkRequest,
  ports: ForkPorts,
  options: Pick<ForkOptions, "createKey" | "fingerprint" | "perMinute">,
): Promise<Omit<Forked, "messageId">> {
  const { log, files } = ports;
  const { at, id, title } = request;
  const place = await findEntry(log, source, at);
  const origin = await filesFor(source, place, request, ports);
  await files.require(origin);
  const due = origin.from === "template" ? undefined : origin.snapshot;
  const waiting = await waitingAt(log, source.id, place);
  const { session, created } = await log.fork(source.id, place.id, id ?? newId("s"), {
    ...options,
    files: origin,
    permissions: permissionsOf(fold(await log.tail(source.id))),
    ...withoutUndefined({ title, due, waiting }),
  });
  await files.ready(session.id);
  return created ? { session, created, at: placeOf(place), files: origin } : earlier(log, session);
}

/** @throws AppError `unavailable` where they are wanted as they are now and cannot be kept. */
async function filesFor(
  source: SessionRecord,
  place: Entry,
  { at, keepFiles }: ForkRequest,
  { log, files, agent }: ForkPorts,
): Promise<WorkspaceOrigin> {
  const known = await originAt(log, source.id, place.id);
  const then = known ?? BEGINNING;
  // What was not kept is more likely in the files of now than in those that the session began with.
  const wantsNow = keepFiles ?? (at === undefined || known === undefined);
  if (!wantsNow) return then;
  await files.ready(source.id);
  const last = originIn(await log.filesAt(source.id, source.headId ?? "")).snapshot ?? null;
  const kept = await files.keep(source.id, agent, last).catch((error: unknown) => {
    if (keepFiles === true || !isAppError(error, "unavailable")) throw error;
    return null;
  });
  if (kept !== null) return { from: "now", snapshot: kept.id, skipped: kept.skipped.length };
  if (keepFiles === undefined) return then;
  throw new AppError("unavailable", "the files of the session cannot be kept: its agent wants no snapshots", {
    hint: "Fork it without its files.",
  });
}

/** What the run waits for at this point, where it waits for people; in the session that is about to be made, too. */
async function waitingAt(log: SessionLog, sessionId: string, place: Entry): Promise<ForkedRun | undefined> {
  const path = await log.tail(sessionId, place.id);
  const { run, ...state } = fold(path);
  if (run === null || !canWaitInFork({ run, ...state })) return undefined;
  const status = statusOf(fold([...path, forkAt(place)]));
  return { runId: run.id, interrupts: run.interrupts, status };
}

/** As the store will write it, for what it means. */
function forkAt({ id, sessionId, seq, at }: Entry): Entry {
  const header = { id: "fork", sessionId: "fork", parentId: id, seq: seq + 1, at, v: ENTRY_VERSION } as const;
  return {
    ...header,
    type: "sessionCreated",
    agent: "",
    forkedFrom: { sessionId, entryId: id },
    waits: true,
  };
}

/** What a request was answered with that is repeated now. */
async function earlier(log: SessionLog, session: SessionRecord): Promise<Omit<Forked, "messageId">> {
  const at = await log.find(session.id, { id: session.forkedFrom?.entryId ?? "" });
  const first = await log.find(session.id, { seq: at.seq + 1 });
  const files = (first.type === "sessionCreated" ? first.files : undefined) ?? originIn(undefined);
  return { session, created: false, at: placeOf(at), files };
}
