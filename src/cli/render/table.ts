import { columnsOf, printLine, stylerFor, type Terminal } from "../terminal.ts";
import { cut } from "./plain.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** Rows under titles, each column as wide as its widest cell. Cells are one line each and safe to print. */
export function printTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { stdout, env }: Pick<Terminal, "stdout" | "env">,
): void {
  const style = stylerFor(stdout, env);
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const format = (cells: readonly string[]) => {
    const padded = cells.map((cell, i) =>
      columns[i]?.align === "right" ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
    );
    const line = padded.join("  ").trimEnd();
    return stdout.isTTY === true ? cut(line, columnsOf(stdout)) : line;
  };
  printLine(stdout, style("dim", format(columns.map(({ title }) => title))));
  for (const row of rows) printLine(stdout, format(row));
}
