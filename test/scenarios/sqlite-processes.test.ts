import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSqliteStore } from "../../src/stores/sqlite/sqlite.ts";

let folder: string;
let path: string;
let nodes: Node[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
  path = join(folder, "test.db");
  nodes = [];
});
afterEach(async () => {
  for (const node of nodes) await node.kill();
  rmSync(folder, { recursive: true, force: true });
});

test("after kill -9 a restarted process owns all sessions at once", async () => {
  const killed = await startNode({ nodeId: "same", leaseMs: 60_000, sessions: 50 });
  await killed.kill();
  expect(killed.stderr()).toBe("");

  await using store = await openSqliteStore({ path, nodeId: "same" });
  // Long before the lease of the one that was killed is over.
  expect(await store.runnable(100)).toHaveLength(50);
  const leases = await Promise.all(Array.from({ length: 50 }, (_, i) => store.claim(`s${i}`)));
  expect(leases.map((lease) => lease?.epoch)).toEqual(Array(50).fill(2));
});

test("another living process takes over at once, too", async () => {
  await using store = await openSqliteStore({ path });
  const killed = await startNode({ nodeId: "a", leaseMs: 60_000, sessions: 1 });
  expect(await store.claim("s0")).toBeUndefined();
  expect(await store.runnable(10)).toEqual([]);
  await killed.kill();
  expect(await store.runnable(10)).toEqual(["s0"]);
  expect((await store.claim("s0"))?.epoch).toBe(2);
});

test("a stopped process keeps its sessions for its lease, and is fenced when it wakes up", async () => {
  await using store = await openSqliteStore({ path });
  const stopped = await startNode({ nodeId: "a", leaseMs: 2_000, sessions: 2 });
  expect(await stopped.ask("append")).toBe("s0 3");
  stopped.signal("SIGSTOP");

  expect(await store.claim("s0")).toBeUndefined();
  expect((await store.read("s0", 0)).map((entry) => entry.seq)).toEqual([1, 2, 3]);
  await expect.poll(() => store.claim("s0"), { timeout: 10_000 }).toMatchObject({ epoch: 2, headSeq: 3 });

  stopped.signal("SIGCONT");
  expect(await stopped.ask("append")).toBe("fenced");
  // Nobody took the other one, and its holder is back.
  await expect.poll(() => store.runnable(10), { timeout: 10_000 }).toEqual([]);
  expect(await store.claim("s1")).toBeUndefined();
});

test("nothing acknowledged is lost by kill -9 in the middle of appends", async () => {
  for (const appends of [200, 1_000]) {
    rmSync(folder, { recursive: true, force: true });
    path = join(mkdtempSync(join(tmpdir(), "holdfast-sqlite-")), "test.db");
    folder = join(path, "..");
    const node = await startNode({ nodeId: "a", leaseMs: 10_000, sessions: 20 });
    node.tell("flood");
    await node.said(appends);
    await node.kill();

    const acknowledged = new Map<string, number>();
    for (const line of node.lines) {
      const [id = "", seq = ""] = line.split(" ");
      if (seq !== "") acknowledged.set(id, Number(seq));
    }
    expect(acknowledged.size).toBe(20);
    await using store = await openSqliteStore({ path });
    for (const [id, seq] of acknowledged) {
      const entries = await store.path(id);
      const session = await store.session(id);
      expect(entries.length).toBeGreaterThanOrEqual(seq);
      expect(entries.map((entry) => entry.seq)).toEqual(entries.map((_, i) => i + 1));
      expect([session?.headSeq, session?.headId]).toEqual([entries.length, entries.at(-1)?.id]);
    }
  }
});

test("processes that open a new file at the same moment all succeed", async () => {
  await Promise.all(
    Array.from({ length: 6 }, (_, i) => startNode({ nodeId: `n${i}`, leaseMs: 10_000, sessions: 0 })),
  );
});

interface Node {
  readonly lines: readonly string[];
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
  tell(command: string): void;
  /** Resolves when it has said so many lines. */
  said(lines: number): Promise<void>;
  ask(command: string): Promise<string | undefined>;
  kill(): Promise<void>;
}

async function startNode(options: {
  readonly nodeId: string;
  readonly leaseMs: number;
  readonly sessions: number;
}): Promise<Node> {
  const script = join(import.meta.dirname, "../processes/sqlite-node.ts");
  const args = [script, path, options.nodeId, String(options.leaseMs), String(options.sessions)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  const ended = once(child, "close");
  const lines: string[] = [];
  let stderr = "";
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const reader = createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const node: Node = {
    lines,
    stderr: () => stderr,
    signal: (signal) => child.kill(signal),
    tell: (command) => child.stdin.write(`${command}\n`),
    async said(count) {
      while (lines.length < count) await once(reader, "line");
    },
    async ask(command) {
      const answered = once(reader, "line");
      node.tell(command);
      const [line] = await answered;
      return line;
    },
    async kill() {
      if (isRunning(child)) child.kill("SIGKILL");
      await ended;
    },
  };
  nodes.push(node);
  const [first] = await Promise.race([once(reader, "line"), ended]);
  expect(first, stderr).toBe("ready");
  lines.length = 0;
  return node;
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
