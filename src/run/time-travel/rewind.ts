import type { Clock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/ids.ts";
import { canonicalJson, withoutUndefined } from "../../lib/json.ts";
import type { Entry, HeadMoved, RunFinished, WorkspaceOrigin, WorkspaceSaved } from "../../log/entry.ts";
import { fold } from "../../log/fold.ts";
import { permissionsOf } from "../../log/fold-branches.ts";
import type { SessionLog, SessionRecord } from "../../log/session-log.ts";
import type { Hold } from "../../log/time-travel.ts";
import type { SandboxPool } from "../../sandboxes/pool.ts";
import { findEntry, placeOf } from "./entry-ref.ts";
import type { FilesOf, SessionFiles } from "./files.ts";
import { originAt, originIn, savedAs } from "./origin.ts";
import type { RewindRequest, Rewound } from "./time-travel.ts";

export interface RewindPorts {
  readonly log: SessionLog;
  readonly files: SessionFiles;
  readonly sandboxes: Pick<SandboxPool, "end">;
  readonly clock: Clock;
  /** Of the session; undefined where it is not served here. */
  readonly agent: FilesOf | undefined;
}

/**
 * While it is held, nobody takes the session up: what runs in its sandbox is ended, its files are kept, and one step notes that
 * and the move and what the files have to become. Then the files follow. A process that dies before that step has changed
 * nothing; after it, whoever uses the files next puts them in order first.
 */
export async function rewindSession(
  session: SessionRecord,
  request: RewindRequest,
  ports: RewindPorts,
): Promise<Rewound> {
  const { log, files } = ports;
  const { idempotencyKey: key, ...asked } = request;
  const fingerprint = sha256(canonicalJson(asked), 32);
  const earlier = key === undefined ? undefined : await log.rewound(session.id, key, fingerprint);
  if (earlier !== undefined) {
    await files.ready(session.id);
    return resultOf(log, session.id, earlier);
  }
  const to = await findEntry(log, session, request.to);
  const hold = await takeHold(ports, session.id, asked.keepFiles === true);
  try {
    const moved = await move(hold, to, asked, ports, key === undefined ? undefined : { key, fingerprint });
    const due = dueFor(moved.files) ?? null;
    const kept = await files.settle({ ...hold, headId: moved.id, due });
    const result = await resultOf(log, session.id, moved);
    return kept.length === 0 ? result : { ...result, kept: kept.slice(0, MAX_KEPT) };
  } finally {
    await log.letGo(hold);
  }
}

/** The first ones are enough to see what it is about. */
const MAX_KEPT = 100;

/** @throws AppError `conflict` */
async function takeHold({ log, files }: RewindPorts, sessionId: string, keepFiles: boolean): Promise<Hold> {
  // What another move has begun is brought to its end first: the branch that is left has its own files then. Who keeps the files
  // does not want that; for a session whose snapshot is damaged it is the way out.
  if (!keepFiles) await files.ready(sessionId);
  const hold = await log.hold(sessionId, { atRest: true });
  if (hold !== undefined && (keepFiles || hold.due === null)) return hold;
  if (hold !== undefined) await log.letGo(hold);
  throw new AppError("conflict", `the files of the session "${sessionId}" are just being replaced`, {
    hint: "Try again in a moment.",
  });
}

async function move(
  hold: Hold,
  to: Entry,
  { keepFiles = false, actor }: Omit<RewindRequest, "idempotencyKey">,
  ports: RewindPorts,
  key: { readonly key: string; readonly fingerprint: string } | undefined,
): Promise<Entry & HeadMoved> {
  const { log, files, sandboxes } = ports;
  const state = fold(await log.tail(hold.sessionId));
  const { run, usage, costUsd, unpricedCalls, lostUsd } = state;
  if (!keepFiles) await sandboxes.end(hold.sessionId);
  const present = await keepPresent(hold, ports);
  const then = keepFiles || present === null ? undefined : await filesFor(hold.sessionId, to, ports);
  const origin = then ?? asNow(present);
  await files.require(origin);
  // What the branch that is left ends with: its files as they are, and the end of a run that waited for a person.
  const ended: RunFinished[] =
    run === null ? [] : [{ type: "runFinished", runId: run.id, reason: "stopped" }];
  const saved = present === null || present.unchanged ? [] : [present.saved];
  return log.rewind(hold, {
    to: to.id,
    leaving: [...saved, ...ended],
    moved: {
      type: "headMoved",
      spent: { usage, costUsd, unpricedCalls, lostUsd },
      permissions: permissionsOf(state),
      files: origin,
      ...withoutUndefined({ actor }),
    },
    ...withoutUndefined({ key, due: dueFor(origin) }),
  });
}

interface PresentFiles {
  readonly saved: WorkspaceSaved;
  /** The log has them already. */
  readonly unchanged: boolean;
}

/** Null where there are no snapshots: then the files cannot be replaced, either. */
async function keepPresent(
  { sessionId, headId }: Hold,
  { log, files, clock, agent }: RewindPorts,
): Promise<PresentFiles | null> {
  const began = clock.monotonic();
  const last = originIn(await log.filesAt(sessionId, headId ?? "")).snapshot ?? null;
  const taken = await files.keep(sessionId, agent, last);
  if (taken === null) return null;
  return { saved: savedAs(taken, Math.round(clock.monotonic() - began)), unchanged: taken.unchanged };
}

/** What the files were at that entry; undefined where nobody knows. The beginning is kept like any other moment. */
async function filesFor(
  sessionId: string,
  to: Entry,
  { log, files, agent }: RewindPorts,
): Promise<WorkspaceOrigin | undefined> {
  const origin = await originAt(log, sessionId, to.id);
  if (origin?.from !== "template") return origin;
  const template = await files.keepTemplate(agent);
  return template === null
    ? origin
    : { from: "template", snapshot: template.id, skipped: template.skipped.length };
}

function asNow(present: PresentFiles | null): WorkspaceOrigin {
  if (present === null) return { from: "now", skipped: 0 };
  return { from: "now", snapshot: present.saved.snapshot, skipped: present.saved.skipped.length };
}

/** What they have to become. @pure */
function dueFor(origin: WorkspaceOrigin | undefined): string | undefined {
  return origin === undefined || origin.from === "now" ? undefined : origin.snapshot;
}

async function resultOf(log: SessionLog, sessionId: string, moved: Entry & HeadMoved): Promise<Rewound> {
  const [session, to, from] = await Promise.all([
    log.session(sessionId),
    log.find(sessionId, { id: moved.parentId ?? "" }),
    log.find(sessionId, { id: moved.from }),
  ]);
  if (session === undefined) throw new AppError("not_found", `there is no session "${sessionId}"`);
  const files = moved.files ?? { from: "now", skipped: 0 };
  return { session, to: placeOf(to), from: placeOf(from), files };
}
