import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import {
  type AgentDefinition,
  defineTool,
  type Entry,
  fold,
  openRuntime,
  openSqliteStore,
  type Runtime,
  type RuntimeOptions,
} from "../../src/index.ts";
import { DatabaseSync } from "../../src/lib/sqlite.ts";
import { noUsage } from "../../src/log/content.ts";
import { upcast } from "../../src/log/upcast.ts";
import { createFakeClock, createScriptedModel } from "../../src/testing/testing.ts";

/** Sessions that earlier releases have written go on with this one, also where they wait for people. */

const fixtures = join(import.meta.dirname, "../fixtures");

let dataDir: string;
let done: string[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-old-"));
  done = [];
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const effect = (name: string) =>
  defineTool({
    name,
    description: `Does ${name}.`,
    input: z.looseObject({}),
    effect: "keyed",
    run: (input) => {
      done.push(`${name} ${JSON.stringify(input)}`);
      return "done";
    },
  });

function open(
  agent: Partial<AgentDefinition> & { readonly name: string },
  options: Partial<RuntimeOptions> = {},
): Promise<Runtime> {
  const model = createScriptedModel({ turns: [{ times: "any", text: "Done." }] });
  return openRuntime({
    dataDir,
    agents: [
      {
        systemPrompt: "You go on.",
        model: "scripted/new",
        sandbox: { isolation: "none" },
        tools: [effect("refund"), effect("look_up")],
        ...agent,
      },
    ],
    models: () => model,
    notify: () => {},
    ...options,
  });
}

async function until({ sessions }: Runtime, id: string, status: string): Promise<void> {
  while ((await sessions.get(id)).status !== status) await delay(5);
}

/** A database with the one session of a fixture, as if this release had always had it. */
async function restore(
  file: string,
): Promise<{ readonly id: string; readonly agent: string; readonly status: string }> {
  const text = await readFile(join(fixtures, "logs", file), "utf8");
  const entries: Entry[] = text
    .trimEnd()
    .split("\n")
    .map((line) => upcast(JSON.parse(line)));
  const [root] = entries;
  const state = fold(entries);
  const agent = state.agent ?? "";
  const id = root?.sessionId ?? "";
  const status = state.run === null ? "idle" : "waiting";
  await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
  await store.importSession(
    {
      ...{ id, agent, tenant: "default", title: null, status, lastRunEnd: state.lastRun?.end ?? null },
      ...{ createdAt: root?.at ?? 0, turns: 0, usage: noUsage, costUsd: state.costUsd, unpricedCalls: 0 },
      ...{ fingerprint: file, due: null },
    },
    (async function* () {
      yield* entries;
    })(),
  );
  return { id, agent, status };
}

describe("a log of an earlier release", async () => {
  const files = (await readdir(join(fixtures, "logs"))).filter((name) => name.endsWith(".jsonl"));

  test.each(files)("%s opens, goes on and is forked", async (file) => {
    const { id, agent, status } = await restore(file);
    await using runtime = await open({ name: agent });
    const { sessions } = runtime;
    const { session: fork } = await sessions.fork(id, { id: "fork", keepFiles: true });
    expect(fork.status).toBe(status);
    for (const each of [id, "fork"]) {
      const session = await runtime.session({ id: each });
      expect((await sessions.context(each)).sections.length).toBeGreaterThan(0);
      // What it waited for is a matter of the past.
      await session.stop();
      const result = await (await session.send("Go on.")).result();
      expect(result).toMatchObject({ reason: "endTurn", text: "Done." });
    }
    expect(await sessions.interrupts({ status: "open" })).toEqual([]);
    const [first] = await sessions.entries(id);
    await sessions.rewind(id, { to: first?.id ?? "", keepFiles: true });
    const again = await (await (await runtime.session({ id })).send("From the start.")).result();
    expect(again.reason).toBe("endTurn");
  });

  test("one that waits is answered: under rules that are not those of then it is asked anew first", async () => {
    const { id, agent } = await restore("v1-3.jsonl");
    // Before its time is over.
    await using runtime = await open({ name: agent }, { clock: createFakeClock(Date.UTC(2026, 2, 2, 14)) });
    const { sessions } = runtime;
    const [old] = await sessions.interrupts({ sessionId: id, status: "open" });
    const approve = (interruptId: string) =>
      sessions.answer(id, interruptId, { action: "approve" }, { actor: "ada" });
    await expect(approve(old?.id ?? "")).rejects.toMatchObject({
      code: "conflict",
      details: { stale: true },
    });
    let open_ = await sessions.interrupts({ sessionId: id, status: "open" });
    while (open_.length === 0) {
      await delay(5);
      open_ = await sessions.interrupts({ sessionId: id, status: "open" });
    }
    await until(runtime, id, "waiting");
    expect(done).toEqual([]);
    await approve(open_[0]?.id ?? "");
    await until(runtime, id, "idle");
    expect(done).toEqual(['refund {"order":"A5","amount":60}']);
  });
});

describe("a database of an earlier release", () => {
  async function restoreDatabase(): Promise<void> {
    const database = new DatabaseSync(join(dataDir, "holdfast.db"));
    database.exec(await readFile(join(fixtures, "databases/schema-4.sql"), "utf8"));
    database.close();
  }

  test("has its open question still, which is answered after the migration", async () => {
    await restoreDatabase();
    await using runtime = await open({ name: "keeper" });
    const { sessions } = runtime;
    await until(runtime, "bees", "waiting");
    const [open_] = await sessions.interrupts({ status: "open" });
    expect(open_).toMatchObject({ sessionId: "bees", request: { kind: "budget" }, votes: [] });
    await sessions.answer("bees", open_?.id ?? "", { action: "raise", limitUsd: 1 }, { actor: "ada" });
    await until(runtime, "bees", "idle");
    expect(await sessions.get("bees")).toMatchObject({ lastRunEnd: "endTurn", turns: 2 });
    const answered = (await sessions.entries("bees")).find(({ type }) => type === "interruptResolved");
    expect(answered).toMatchObject({ actor: "ada", answer: { action: "raise" } });
  });

  test("is answered by a process that does not work, for one that does", async () => {
    await restoreDatabase();
    await using working = await open({ name: "keeper" });
    await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
    const [open_] = await store.interrupts({ status: "open" });
    const command = { type: "answer", interruptId: open_?.id ?? "", answer: { action: "end" } } as const;
    await store.enqueue("bees", command);
    await until(working, "bees", "idle");
    expect(await working.sessions.get("bees")).toMatchObject({ lastRunEnd: "budget" });
  });
});
