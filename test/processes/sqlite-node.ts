import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { isAppError } from "../../src/lib/errors.ts";
import { newId } from "../../src/lib/ids.ts";
import { ENTRY_VERSION, type Entry } from "../../src/log/entry.ts";
import { openSqliteStore } from "../../src/stores/sqlite/sqlite.ts";

/**
 * A process that owns sessions, for tests that stop and kill it. Arguments: database, node id, lease in milliseconds, number
 * of sessions. Answers each line on stdin with one line: "append" appends to the first session, "flood" appends to all until
 * the end of the process and says "session seq" for every entry that is acknowledged.
 */
const [path = "", nodeId = "", leaseMs = "", sessions = ""] = process.argv.slice(2);
const store = await openSqliteStore({ path, nodeId, leaseMs: Number(leaseMs) });
const writers = await Promise.all(Array.from({ length: Number(sessions) }, (_, i) => createWriter(`s${i}`)));
await Promise.all(writers.map((append) => append()));
say("ready");

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "append") say(await writers[0]?.().then(String, errorCode));
  if (line === "flood") for (const append of writers) void flood(append);
}

async function createWriter(id: string): Promise<() => Promise<string>> {
  await store.create({ id, agent: "x" });
  const lease = await store.claim(id);
  if (lease === undefined) throw new Error(`${id} is taken`);
  let head = lease.headId;
  let seq = lease.headSeq;
  return async () => {
    const entry: Entry = {
      id: newId("e"),
      sessionId: id,
      parentId: head,
      seq: seq + 1,
      at: 0,
      v: ENTRY_VERSION,
      type: "runStarted",
      runId: "r",
      model: "x".repeat(1_000),
    };
    const fence = { head, epoch: lease.epoch };
    head = entry.id;
    seq = entry.seq;
    await store.append(id, fence, [entry]);
    return `${id} ${entry.seq}`;
  };
}

async function flood(append: () => Promise<string>): Promise<void> {
  for (;;) {
    // Two under way at a time, as a run does.
    for (const said of await Promise.all([append(), append()])) say(said);
  }
}

/** Synchronous: what was acknowledged is known to the test even if the process dies right after. */
function say(line: string | undefined): void {
  writeSync(1, `${line}\n`);
}

function errorCode(error: unknown): string {
  return isAppError(error) ? error.code : String(error);
}
