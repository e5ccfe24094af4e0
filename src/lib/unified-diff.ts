import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";

/**
 * What changes in a text file, as `diff -u` and `git diff` write it, with three lines around each change. Empty where nothing
 * changes. `null`: there is no such file before, or after. Texts that have little in common are shown as one removed and one
 * added, because finding out more would take too long. @pure
 */
export function unifiedDiff(path: string, before: string | null, after: string | null): string {
  if (before === after) return "";
  const [from, to] = [before === null ? NOTHING : `a/${path}`, after === null ? NOTHING : `b/${path}`];
  const options = { context: 3, maxEditLength: MAX_EDITS, headerOptions: FILE_HEADERS_ONLY };
  return (
    createTwoFilesPatch(from, to, before ?? "", after ?? "", undefined, undefined, options) ??
    `--- ${from}\n+++ ${to}\n${replacement(before ?? "", after ?? "")}`
  );
}

const NOTHING = "/dev/null";
/** The time that a diff takes grows with the square of the lines that differ: this many take about a tenth of a second. */
const MAX_EDITS = 1_000;

function replacement(before: string, after: string): string {
  const [removed, added] = [linesOf(before), linesOf(after)];
  const header = `@@ -${rangeOf(removed)} +${rangeOf(added)} @@\n`;
  return header + marked("-", removed) + marked("+", added);
}

/** Each with its line break, which the last one may lack. */
function linesOf(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+/g) ?? [];
}

function rangeOf(lines: readonly string[]): string {
  return lines.length === 0 ? "0,0" : `1,${lines.length}`;
}

function marked(mark: "-" | "+", lines: readonly string[]): string {
  return lines
    .map((line) =>
      line.endsWith("\n") ? `${mark}${line}` : `${mark}${line}\n\\ No newline at end of file\n`,
    )
    .join("");
}
