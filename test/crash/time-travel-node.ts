/**
 * One node of the test that kills while a session is moved back and forked, as a process. With `prepare` it makes a session with
 * two states of its files; without, it moves it back to the first and forks it at the second, then prints what the files are.
 * Told so, it kills itself before or after one of its steps in the store.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openRuntime, openSqliteStore, type Store } from "../../src/index.ts";
import { noneDriver } from "../../src/sandboxes/none/none.ts";
import { createScriptedModel } from "../../src/testing/testing.ts";

const [dataDir = "", plan = "{}"] = process.argv.slice(2);
const { dieAt = 0, prepare = false } = JSON.parse(plan) as {
  /** Die at the n-th of the points that `pass` counts. */
  readonly dieAt?: number;
  readonly prepare?: boolean;
};

let passed = 0;
async function between<T>(step: Promise<T>): Promise<T> {
  const result = await step;
  pass();
  return result;
}

function pass(): void {
  passed += 1;
  if (passed === dieAt) process.kill(process.pid, "SIGKILL");
}

/** Dies before and after each step of a move and a fork. */
function mortal(store: Store): Store {
  return {
    ...store,
    hold(...args) {
      pass();
      return between(store.hold(...args));
    },
    rewind(...args) {
      pass();
      return between(store.rewind(...args));
    },
    fork(...args) {
      pass();
      return between(store.fork(...args));
    },
    letGo(...args) {
      pass();
      return between(store.letGo(...args));
    },
  };
}

await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
await using runtime = await openRuntime({
  agents: [
    {
      name: "writer",
      systemPrompt: "You write.",
      model: "scripted/writer",
      permissions: { allow: ["*"] },
      sandbox: { isolation: "none" },
    },
  ],
  dataDir,
  store: mortal(store),
  sandboxes: [noneDriver()],
  models: () =>
    createScriptedModel(
      {
        turns: [
          {
            times: "any",
            when: { step: 1 },
            calls: [{ tool: "write", input: { path: "a.txt", content: "{{user}}" } }],
          },
          { times: "any", text: "Done." },
        ],
      },
      { record: false },
    ),
});
const { sessions } = runtime;
if (prepare) {
  const session = await runtime.session({ id: "s" });
  for (const text of ["one", "two"]) await (await session.send(text)).result();
} else {
  const { from } = await sessions.rewind("s", { to: "~1", idempotencyKey: "move" });
  await sessions.fork("s", { at: from.entryId, id: "f", idempotencyKey: "fork" });
  const textOf = (id: string) => readFile(join(runtime.workspacePath(id), "a.txt"), "utf8");
  const files = { s: await textOf("s"), f: await textOf("f") };
  process.stdout.write(`${JSON.stringify({ files, passed })}\n`);
}
