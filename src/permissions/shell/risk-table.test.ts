import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { riskTable } from "./risk-table.ts";

const docs = readFileSync(new URL("../../../docs/permissions.md", import.meta.url), "utf8");

/** The table of the documentation, cell by cell. */
function documented(): readonly (readonly string[])[] {
  const table = docs.slice(docs.indexOf("<!-- risk table -->"), docs.indexOf("<!-- end of risk table -->"));
  return table
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

test("docs/permissions.md has the same table", () => {
  const rows = riskTable.map(({ commands, why, reversibility, reach }) => [
    commands
      .split(" ")
      .map((name) => `\`${name}\``)
      .join(" "),
    why,
    reversibility,
    reach,
  ]);
  expect(documented()).toEqual(rows);
});
