import { randomFillSync } from "node:crypto";
import { lutimesSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type Entry,
  type ImportedSession,
  openRuntime,
  openSqliteStore,
  type Runtime,
} from "../../src/index.ts";
import { startNode } from "./start-node.ts";

const ENTRIES = 3_000;
const FILES = 60;
const KILLS = 12;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-import-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(dataDir: string): Promise<Runtime> {
  return openRuntime({ agents: [], dataDir, notify: () => {} });
}

/** A session that takes a while to import. */
async function exportedFile(): Promise<string> {
  const dataDir = join(folder, "source");
  mkdirSync(dataDir);
  {
    await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
    await store.importSession(record, entries());
  }
  await using runtime = await open(dataDir);
  const workspace = runtime.workspacePath("s");
  mkdirSync(workspace, { recursive: true });
  for (let i = 0; i < FILES; i++)
    writeFileSync(join(workspace, `${i}`), randomFillSync(Buffer.alloc(20_000)));
  const exported = await runtime.sessions.export("s");
  const file = join(folder, "s.holdfast.tar.gz");
  writeFileSync(file, Buffer.concat(await Array.fromAsync(exported.bytes())));
  return file;
}

const record: ImportedSession = {
  id: "s",
  agent: "a",
  tenant: "default",
  title: null,
  status: "idle",
  lastRunEnd: null,
  createdAt: 1,
  turns: 0,
  usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
  costUsd: 0,
  unpricedCalls: 0,
  fingerprint: "f",
  due: null,
};

async function* entries(): AsyncGenerator<Entry> {
  for (let seq = 1; seq <= ENTRIES; seq++) {
    const header = {
      id: `e${seq}`,
      sessionId: "s",
      parentId: seq === 1 ? null : `e${seq - 1}`,
      seq,
      at: 1,
      v: 1,
    } as const;
    yield seq === 1
      ? { ...header, type: "sessionCreated", agent: "a" }
      : { ...header, type: "contextAdded", source: "hook", text: `note ${seq} `.repeat(40) };
  }
}

/** As if the kill was long ago: what lies about is left alone for an hour. */
function letTimePass(dataDir: string): void {
  for (const sub of ["workspaces", "sandboxes"]) {
    for (const name of namesIn(join(dataDir, sub))) lutimesSync(join(dataDir, sub, name), 1, 1);
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

test("an import that is killed, at whatever moment, has happened or has not", async () => {
  const file = await exportedFile();
  const dataDir = join(folder, "target");
  let durationMs = 1_000;
  const outcomes = new Set<string>();
  for (let kill = 0; kill <= KILLS; kill++) {
    const node = startNode("import-node.ts", dataDir, { file });
    await node.ready;
    const begun = performance.now();
    // The first one may go on to its end, to see how long that takes.
    if (kill > 0) {
      await Promise.race([node.ended, delay((durationMs * kill) / KILLS)]);
      node.process.kill("SIGKILL");
    }
    const end = await node.ended;
    expect([0, "SIGKILL"], node.output()).toContain(end);
    if (kill === 0) durationMs = performance.now() - begun;

    letTimePass(dataDir);
    await using runtime = await open(dataDir);
    await runtime.idle();
    const listed = await runtime.sessions.list();
    outcomes.add(listed.length === 0 ? "nothing" : "all");
    if (listed.length === 0) {
      expect(end).toBe("SIGKILL");
      continue;
    }
    expect(listed.map(({ id, headSeq }) => [id, headSeq])).toEqual([["s", ENTRIES]]);
    expect(namesIn(runtime.workspacePath("s")).length).toBe(FILES);
    expect((await runtime.sessions.entries("s", ENTRIES - 1)).length).toBe(1);
    await runtime.sessions.delete("s");
  }
  expect(outcomes).toEqual(new Set(["nothing", "all"]));

  letTimePass(dataDir);
  const last = startNode("import-node.ts", dataDir, { file });
  expect(await last.ended, last.output()).toBe(0);
  await using runtime = await open(dataDir);
  expect((await runtime.sessions.get("s")).headSeq).toBe(ENTRIES);
  expect(namesIn(join(dataDir, "workspaces")).length).toBe(1);
});
