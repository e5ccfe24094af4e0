/**
 * One node of the test that kills while files are kept, as a process: one session whose calls write files, then exit with 0.
 * Told so, it kills itself right before the n-th time that a snapshot would be written down.
 */
import { join } from "node:path";
import { openRuntime, openSqliteStore, type Store } from "../../src/index.ts";
import { noneDriver } from "../../src/sandboxes/none/none.ts";
import { createScriptedModel } from "../../src/testing/testing.ts";

const [dataDir = "", plan = "{}"] = process.argv.slice(2);
const { dieAt = 0 } = JSON.parse(plan) as { readonly dieAt?: number };

let times = 0;

function mortal(store: Store): Store {
  return {
    ...store,
    append(sessionId, fence, entries, status) {
      if (entries.some(({ type }) => type === "workspaceSaved")) {
        times += 1;
        if (times === dieAt) process.kill(process.pid, "SIGKILL");
      }
      return store.append(sessionId, fence, entries, status);
    },
  };
}

const write = (content: string) => ({ calls: [{ tool: "write", input: { path: "a.txt", content } }] });
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
    createScriptedModel({ turns: [write("1"), write("2"), { text: "Done." }] }, { record: false }),
});
await runtime.sessions.create({ agent: "writer", id: "s", idempotencyKey: "s" });
await runtime.sessions.send("s", { blocks: [{ type: "text", text: "Go." }], idempotencyKey: "go" });
process.stdout.write("ready\n");
while ((await runtime.sessions.get("s")).status !== "idle") {
  await new Promise((resolve) => setTimeout(resolve, 5));
}
