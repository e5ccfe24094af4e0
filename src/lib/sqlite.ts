import type * as Sqlite from "node:sqlite";

/**
 * Node's own SQLite. Loading it prints an ExperimentalWarning on some releases of Node; the part of it that is used here
 * has been stable since 22.13, and a warning at every start would teach people to ignore warnings. Only this one is
 * dropped, only while the module loads.
 */
export const { DatabaseSync } = loadQuietly();
export type { DatabaseSync as SqliteConnection, SQLInputValue, StatementSync } from "node:sqlite";

function loadQuietly(): typeof Sqlite {
  const emitWarning = process.emitWarning;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (!String(warning).includes("SQLite")) Reflect.apply(emitWarning, process, [warning, ...rest]);
  };
  try {
    return process.getBuiltinModule("node:sqlite");
  } finally {
    process.emitWarning = emitWarning;
  }
}
