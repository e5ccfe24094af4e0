import { AppError } from "../../lib/errors.ts";
import type { Database } from "./database.ts";

/** Marks the file as ours: "HOLD". */
const APPLICATION_ID = 0x484f4c44;

/**
 * Numbered from 1, applied in order, never edited after a release: a change of the schema is a new entry at the end. Each
 * must leave the tables usable for the release before it, which may still be running on the same file.
 *
 * Plain rowid tables on purpose: WITHOUT ROWID writes about three times as much per entry. `key` columns are the rowids.
 */
const migrations: readonly string[] = [
  `
  CREATE TABLE node (
    id TEXT PRIMARY KEY,
    lock TEXT,                      -- name of its lock file in "<database>-nodes"; see nodes.ts
    pid INTEGER NOT NULL,           -- for people only
    started_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL     -- its leases count until then
  ) STRICT;

  CREATE TABLE session (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    title TEXT,
    create_key TEXT UNIQUE,
    fingerprint TEXT,
    status TEXT NOT NULL,
    last_run_end TEXT,
    head_id TEXT,
    head_seq INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    turns INTEGER NOT NULL DEFAULT 0,
    usage_input INTEGER NOT NULL DEFAULT 0,
    usage_cache_read INTEGER NOT NULL DEFAULT 0,
    usage_cache_write INTEGER NOT NULL DEFAULT 0,
    usage_output INTEGER NOT NULL DEFAULT 0,
    usage_reasoning INTEGER NOT NULL DEFAULT 0,
    cost_usd REAL NOT NULL DEFAULT 0,
    unpriced_calls INTEGER NOT NULL DEFAULT 0,
    owner TEXT REFERENCES node (id) ON DELETE SET NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    work_since INTEGER,             -- when it last went from idle to having work; null while idle
    forked_key INTEGER REFERENCES session (key),  -- history up to forked_seq is that session's
    forked_entry TEXT,
    forked_seq INTEGER
  ) STRICT;
  CREATE INDEX session_updated ON session (updated_at);
  CREATE INDEX session_work ON session (work_since) WHERE work_since IS NOT NULL;
  CREATE INDEX session_owner ON session (owner) WHERE owner IS NOT NULL;
  CREATE INDEX session_forked ON session (forked_key) WHERE forked_key IS NOT NULL;

  CREATE TABLE entry (
    key INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    parent_id TEXT,
    at INTEGER NOT NULL,
    v INTEGER NOT NULL,
    type TEXT NOT NULL,
    finished_call TEXT,             -- the callId of a toolFinished
    body TEXT,                      -- JSON of the fact without its type; or
    blob TEXT                       -- the hash under which it is in "blob"
  ) STRICT;
  CREATE UNIQUE INDEX entry_position ON entry (session, seq);
  CREATE UNIQUE INDEX entry_one_result ON entry (session, finished_call) WHERE finished_call IS NOT NULL;
  CREATE INDEX entry_blob ON entry (session, blob) WHERE blob IS NOT NULL;

  -- AUTOINCREMENT, because watchers in other processes look for keys above the last one that they saw.
  CREATE TABLE inbox (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    id TEXT NOT NULL,
    caller_key TEXT,
    fingerprint TEXT NOT NULL,
    at INTEGER NOT NULL,
    moved_seq INTEGER,              -- the entry that it became; then body and blob are null
    body TEXT,
    blob TEXT
  ) STRICT;
  CREATE INDEX inbox_session ON inbox (session, moved_seq);
  CREATE UNIQUE INDEX inbox_once ON inbox (session, caller_key) WHERE caller_key IS NOT NULL;

  -- Large bodies by content. Per session, so that erasing a session erases what it said.
  CREATE TABLE blob (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (session, hash)
  ) STRICT;
  `,
  `
  -- Where folding a session begins.
  CREATE INDEX entry_compacted ON entry (session, seq) WHERE type = 'compacted';
  `,
  `
  ALTER TABLE session ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
  CREATE INDEX session_created ON session (created_at);
  `,
  `
  ALTER TABLE session ADD COLUMN actor TEXT;  -- who sent the latest message of its log, where they said so

  -- What calls to models cost, kept when sessions are erased.
  CREATE TABLE spend (
    key INTEGER PRIMARY KEY,
    day TEXT NOT NULL,              -- UTC, "2026-01-31"
    agent TEXT NOT NULL,
    tenant TEXT NOT NULL,
    actor TEXT NOT NULL,            -- '' where nobody said
    model TEXT NOT NULL,
    calls INTEGER NOT NULL,
    usage_input INTEGER NOT NULL,
    usage_cache_read INTEGER NOT NULL,
    usage_cache_write INTEGER NOT NULL,
    usage_output INTEGER NOT NULL,
    usage_reasoning INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    unpriced_calls INTEGER NOT NULL,  -- of unknown cost, those that were lost included
    lost_calls INTEGER NOT NULL,
    lost_usd REAL NOT NULL          -- the most that calls of unknown cost can have been, as far as it was reserved
  ) STRICT;
  CREATE UNIQUE INDEX spend_account ON spend (day, agent, tenant, actor, model);
  CREATE INDEX spend_tenant ON spend (day, tenant);

  -- What calls under way may cost, in each budget that they share with other sessions.
  CREATE TABLE reservation (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    day TEXT NOT NULL,
    usd REAL NOT NULL
  ) STRICT;
  CREATE INDEX reservation_session ON reservation (session);
  CREATE INDEX reservation_budget ON reservation (scope, name, day, usd);

  -- Budgets that a person has raised, for a day.
  CREATE TABLE raised_budget (
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    day TEXT NOT NULL,
    limit_usd REAL NOT NULL,
    PRIMARY KEY (scope, name, day)
  ) STRICT;

  CREATE TABLE interrupt (
    key INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    id TEXT NOT NULL,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    request TEXT NOT NULL,          -- JSON
    answer TEXT,                    -- JSON
    actor TEXT,
    answered_at INTEGER,
    closed_at INTEGER               -- answered, or its run has ended
  ) STRICT;
  CREATE UNIQUE INDEX interrupt_id ON interrupt (session, id);
  CREATE INDEX interrupt_open ON interrupt (at) WHERE closed_at IS NULL;
  `,
  `
  -- Where the path of a session leaves out a stretch of its log: the entry at "seq" follows the one at "to_seq".
  CREATE TABLE head_move (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    to_seq INTEGER NOT NULL,
    PRIMARY KEY (session, seq)
  ) STRICT;

  -- Where it is said what the files of a session were.
  CREATE INDEX entry_files ON entry (session, seq)
    WHERE type IN ('workspaceSaved', 'headMoved', 'sessionCreated');

  ALTER TABLE session ADD COLUMN files_due TEXT;  -- the snapshot that its files have to become before anybody uses them
  -- Who keeps everybody from taking it up, and a name for that, so that one who lost it knows.
  ALTER TABLE session ADD COLUMN held_by TEXT REFERENCES node (id) ON DELETE SET NULL;
  ALTER TABLE session ADD COLUMN hold TEXT;
  CREATE INDEX session_held ON session (held_by) WHERE held_by IS NOT NULL;
  `,
  `
  ALTER TABLE interrupt ADD COLUMN due_at INTEGER;      -- when time answers it
  ALTER TABLE interrupt ADD COLUMN channel TEXT;        -- how it was answered
  ALTER TABLE interrupt ADD COLUMN votes TEXT;          -- JSON: who has approved already, where several have to
  ALTER TABLE interrupt ADD COLUMN told INTEGER NOT NULL DEFAULT 0;  -- how often people were told of it outside: at first, and reminders
  ALTER TABLE interrupt ADD COLUMN tell_at INTEGER;     -- when they are told next
  ALTER TABLE interrupt ADD COLUMN tell_failures INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX interrupt_by_id ON interrupt (id);
  CREATE INDEX interrupt_due ON interrupt (due_at) WHERE closed_at IS NULL AND due_at IS NOT NULL;
  CREATE INDEX interrupt_tell ON interrupt (tell_at) WHERE closed_at IS NULL AND tell_at IS NOT NULL;

  -- What people have made of their answers: rules for all sessions of an agent.
  CREATE TABLE agent_rule (
    key INTEGER PRIMARY KEY,
    agent TEXT NOT NULL,
    list TEXT NOT NULL,
    rule TEXT NOT NULL,
    actor TEXT,
    at INTEGER NOT NULL,
    UNIQUE (agent, list, rule)
  ) STRICT;
  `,
  `
  -- What one of all processes does now and then.
  CREATE TABLE chore (
    name TEXT PRIMARY KEY,
    next_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX session_abandoned ON session (agent, updated_at) WHERE last_run_end = 'abandoned';
  `,
];

/**
 * Makes sure that the file is ours, then brings its schema up to date.
 * @throws AppError `unsupported` for a file of a newer release or of another program, which is left as it was.
 */
export function migrate(database: Database, now: number): void {
  versionOf(database);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("BEGIN IMMEDIATE");
  try {
    let version = versionOf(database);
    if (version === undefined) {
      version = 0;
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
      database.exec(
        "CREATE TABLE migration (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT",
      );
    }
    for (const sql of migrations.slice(version)) {
      version += 1;
      // First, so that of two processes that start at once only one goes on.
      database.exec(`INSERT INTO migration (version, applied_at) VALUES (${version}, ${now})`);
      database.exec(sql);
    }
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

/** Undefined for an empty file. */
function versionOf(database: Database): number | undefined {
  const tables = database.get<{ n: number }>("SELECT count(*) AS n FROM sqlite_schema")?.n;
  if (tables === 0) return undefined;
  const application = database.get<{ application_id: number }>("PRAGMA application_id")?.application_id;
  if (application !== APPLICATION_ID) {
    throw new AppError("unsupported", `${database.path} is the database of another program.`, {
      hint: "Name another file; a new database is created when the file does not exist.",
    });
  }
  const version = database.get<{ v: number | null }>("SELECT max(version) AS v FROM migration")?.v ?? 0;
  if (version > migrations.length) {
    throw new AppError(
      "unsupported",
      `The database ${database.path} was written by a newer release (schema ${version}; this release knows ${migrations.length}).`,
      { hint: "Install that release or a later one. This one has changed nothing." },
    );
  }
  return version;
}
