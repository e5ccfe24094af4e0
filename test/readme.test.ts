import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(join(import.meta.dirname, "..", path), "utf8");

test("the program in the README is the one that is compiled", () => {
  const [, program] = /```ts\n(.*?)```/s.exec(read("README.md")) ?? [];
  expect(program).toBe(read("examples/support/program.ts"));
});
