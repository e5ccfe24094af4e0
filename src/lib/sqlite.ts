import type * as Sqlite from "node:sqlite";

/**
 * Node's own SQLite. No flag is needed for it since Node 22.13, but loading it prints an ExperimentalWarning, and a warning
 * at every start teaches people to ignore warnings. Only this one is dropped, only while the module loads.
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
