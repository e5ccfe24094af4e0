import { setImmediate as yieldToOthers } from "node:timers/promises";
import type { SnapshotReferences } from "../../log/snapshot-references.ts";
import type { Database } from "./database.ts";
import type { Parts } from "./parts.ts";

/** Follows from the entries, so that nothing has to be kept up to date with them: not by appends, forks, moves or erasures. */
export function createSnapshotReferences({ database }: Pick<Parts, "database">): SnapshotReferences {
  return {
    async snapshotsInUse() {
      // What is due first: when it has been done meanwhile, an entry says so.
      const inUse = new Set(database.read(() => snapshotsDue(database)));
      for (let after: Position = { session: 0, seq: 0 }; ; ) {
        const page = database.read(() => readPage(database, after));
        for (const { snapshot } of page) if (snapshot !== null) inUse.add(snapshot);
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) return inUse;
        after = last;
        await yieldToOthers();
      }
    },
  };
}

interface Position {
  readonly session: number;
  readonly seq: number;
}

interface Row extends Position {
  readonly snapshot: string | null;
}

const PAGE = 1_000;

function snapshotsDue(database: Database): readonly string[] {
  return database
    .all<{ snapshot: string }>("SELECT files_due AS snapshot FROM session WHERE files_due IS NOT NULL")
    .map(({ snapshot }) => snapshot);
}

/** In the order of the index `entry_files`. */
function readPage(database: Database, { session, seq }: Position): readonly Row[] {
  return database.all<Row>(
    `SELECT session, seq, coalesce(json_extract(body, '$.snapshot'), json_extract(body, '$.files.snapshot')) AS snapshot
     FROM (
       SELECT entry.session, entry.seq, coalesce(entry.body, blob.body) AS body
       FROM entry LEFT JOIN blob ON blob.session = entry.session AND blob.hash = entry.blob
       WHERE entry.type IN ('workspaceSaved', 'headMoved', 'sessionCreated') AND (entry.session, entry.seq) > (?, ?)
       ORDER BY entry.session, entry.seq LIMIT ?
     )`,
    session,
    seq,
    PAGE,
  );
}
