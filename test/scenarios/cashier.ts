import { cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The example `examples/approvals` in a folder of its own, with the program's sources instead of a built package. */
export async function copyCashier(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-cashier-"));
  await cp(new URL("../../examples/approvals/", import.meta.url), folder, {
    recursive: true,
    filter: (path) => !path.includes(".holdfast"),
  });
  for (const name of ["refund.ts", "close-order.ts"]) {
    const file = join(folder, "tools", name);
    let text = await readFile(file, "utf8");
    for (const [from, to] of MODULES) text = text.replace(`"${from}"`, JSON.stringify(to));
    await writeFile(file, text);
  }
  return folder;
}

const MODULES = [
  ["holdfast", new URL("../../src/index.ts", import.meta.url).href],
  ["../../support/bank.ts", new URL("../../examples/support/bank.ts", import.meta.url).href],
  ["zod", import.meta.resolve("zod")],
] as const;
