import { closeSync, openSync } from "node:fs";
import {
  DatabaseSync,
  type SQLInputValue,
  type SqliteConnection,
  type StatementSync,
} from "../../lib/sqlite.ts";
import { translate } from "./errors.ts";

export type Value = SQLInputValue;

/** A connection with its prepared statements. Statements are prepared at first use and kept: there are few. */
export interface Database extends Disposable {
  readonly path: string;
  exec(sql: string): void;
  /** The number of changed rows. */
  run(sql: string, ...values: readonly Value[]): number;
  get<Row>(sql: string, ...values: readonly Value[]): Row | undefined;
  all<Row>(sql: string, ...values: readonly Value[]): readonly Row[];
  /** For reads outside of `commits.ts`: what SQLite complains about becomes an error for people. */
  read<T>(operation: () => T): T;
}

/** How long SQLite itself waits for another process's write, on this thread. Longer waits are `commits.ts`'s. */
const BUSY_TIMEOUT_MS = 20;

/** @throws What SQLite says, as it says it: see `errors.ts`. */
export function openDatabase(path: string): Database {
  const connection = connect(path);
  const statements = new Map<string, StatementSync>();
  const prepared = (sql: string): StatementSync => {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = connection.prepare(sql);
      statements.set(sql, statement);
    }
    return statement;
  };
  return {
    path,
    exec: (sql) => connection.exec(sql),
    run: (sql, ...values) => Number(prepared(sql).run(...values).changes),
    get: <Row>(sql: string, ...values: readonly Value[]) => prepared(sql).get(...values) as Row | undefined,
    all: <Row>(sql: string, ...values: readonly Value[]) => prepared(sql).all(...values) as Row[],
    read(operation) {
      try {
        return operation();
      } catch (error) {
        throw translate(error, path);
      }
    },
    [Symbol.dispose]: () => connection.close(),
  };
}

function connect(path: string): SqliteConnection {
  createPrivate(path);
  const connection = new DatabaseSync(path);
  try {
    connection.exec(`
      PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
      PRAGMA synchronous = FULL;
      PRAGMA foreign_keys = ON;
      PRAGMA wal_autocheckpoint = 4000;
      PRAGMA journal_size_limit = 67108864;
    `);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Sessions are nobody else's business. SQLite gives the files beside it the same mode. */
function createPrivate(path: string): void {
  if (path === ":memory:") return;
  try {
    // Never opens an existing file: closing it would drop the locks that this process has on it.
    closeSync(openSync(path, "wx", 0o600));
  } catch {
    // It exists, or SQLite will say better what is wrong.
  }
}
