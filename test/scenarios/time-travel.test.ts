import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { defineTool, type Entry, type Session } from "../../src/index.ts";
import { type AssistantBlock, noUsage, type UserBlock } from "../../src/log/content.ts";
import { fold } from "../../src/log/fold.ts";
import { canWaitInFork } from "../../src/log/fold-branches.ts";
import { repaired } from "../../src/log/transcript.ts";
import type { Model } from "../../src/models/model.ts";
import { openSqliteStore } from "../../src/stores/sqlite/sqlite.ts";
import type { Store } from "../../src/stores/store.ts";
import { createScriptedModel, type Script } from "../../src/testing/testing.ts";
import { type Scenario, startScenario } from "./in-process.ts";

/** Sessions that are forked, moved back and compared, as somebody meets it who uses them. */

/** "note X" writes X into the file notes.txt, "look" reads it; anything else is repeated. */
const script: Script = {
  turns: [
    {
      times: "any",
      when: { user: { matches: "^note" }, step: 1 },
      calls: [{ tool: "write", input: { path: "notes.txt", content: "{{user /note (.*)/}}\n" } }],
    },
    {
      times: "any",
      when: { user: { matches: "^look" }, step: 1 },
      calls: [{ tool: "read", input: { path: "notes.txt" } }],
    },
    { times: "any", when: { step: 2 }, text: "Noted." },
    { times: "any", text: "You said {{user}}." },
  ],
};

function start(more: Parameters<typeof startScenario>[1] = {}): Promise<Scenario> {
  return startScenario(script, { ...more, agent: { sandbox: { isolation: "none" }, ...more.agent } });
}

async function say(session: Session, text: string): Promise<string> {
  return (await (await session.send(text)).result()).text;
}

async function notes({ runtime }: Scenario, sessionId: string): Promise<string | undefined> {
  return readFile(join(runtime.workspacePath(sessionId), "notes.txt"), "utf8").catch(() => undefined);
}

/** What was said to and by the model, in the whole of a log. */
function said(entries: readonly Entry[]): string {
  return entries
    .flatMap((entry) =>
      entry.type === "userMessage" || entry.type === "assistantMessage" ? textsIn(entry.blocks) : [],
    )
    .join(" | ");
}

/** The same of the last request to the model: what it knows of the session. */
async function known({ model }: Scenario): Promise<string> {
  const messages = model.requests.at(-1)?.messages ?? [];
  return messages
    .flatMap((message) => (message.role === "tool" ? [] : textsIn(message.blocks)))
    .filter((text) => !text.startsWith("<holdfast-note"))
    .join(" | ");
}

function textsIn(blocks: readonly (UserBlock | AssistantBlock)[]): readonly string[] {
  return blocks.flatMap((block) => (block.type === "text" ? [block.text] : []));
}

describe("a fork", () => {
  test("goes on from the middle, with the files as they were there, and the session goes on beside it", async () => {
    await using scenario = await start();
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    await say(session, "note one");
    await say(session, "note two");
    const { session: fork, at, files } = await sessions.fork(session.id, { at: "~1", title: "Another way" });
    expect(fork).toMatchObject({ title: "Another way", forkedFrom: { sessionId: session.id }, costUsd: 0 });
    expect(at.entryId).toBe(fork.forkedFrom?.entryId);
    expect(files).toMatchObject({ from: "snapshot", skipped: 0 });
    expect(await notes(scenario, fork.id)).toBe("one\n");
    expect(await notes(scenario, session.id)).toBe("two\n");

    const other = await scenario.runtime.session({ id: fork.id });
    expect(await say(other, "what now")).toBe("You said what now.");
    expect(await known(scenario)).toBe("note one | Noted. | what now");
    await say(session, "and here");
    expect(await known(scenario)).toBe("note one | Noted. | note two | Noted. | and here");
  });

  test("begins as a new session does where nothing was written yet, and with everything where that is wanted", async () => {
    await using scenario = await start();
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    await say(session, "hello");
    await say(session, "note one");
    const early = await sessions.fork(session.id, { at: "~1" });
    expect(early.files).toEqual({ from: "template", skipped: 0 });
    expect(await notes(scenario, early.session.id)).toBeUndefined();
    await writeFile(join(scenario.runtime.workspacePath(session.id), "notes.txt"), "by hand\n");
    const whole = await sessions.fork(session.id, { at: "~1", keepFiles: true });
    expect(whole.files).toMatchObject({ from: "now", skipped: 0 });
    expect(await notes(scenario, whole.session.id)).toBe("by hand\n");
    const again = await sessions.fork(whole.session.id, { keepFiles: false });
    expect(again.files).toMatchObject({ from: "snapshot", snapshot: whole.files.snapshot });
    expect(await notes(scenario, again.session.id)).toBe("by hand\n");
    await writeFile(join(scenario.runtime.workspacePath(session.id), "notes.txt"), "later\n");
    const here = await sessions.fork(session.id);
    expect(here.files).toMatchObject({ from: "now" });
    expect(await notes(scenario, here.session.id)).toBe("later\n");
  });

  test("is made once for each key, and says its message once", async () => {
    await using scenario = await start();
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    await say(session, "note one");
    const request = {
      idempotencyKey: "k",
      message: { blocks: [{ type: "text", text: "go" }] },
    } as const;
    const [first, second] = [
      await sessions.fork(session.id, request),
      await sessions.fork(session.id, request),
    ];
    expect([first.created, second.created]).toEqual([true, false]);
    expect(second).toMatchObject({ messageId: first.messageId, at: first.at, files: first.files });
    expect(second.session.id).toBe(first.session.id);
    await expect(sessions.fork(session.id, { ...request, at: "#2" })).rejects.toMatchObject({
      code: "conflict",
    });
    await scenario.runtime.idle();
    const entries = await sessions.entries(first.session.id);
    expect(said(entries)).toBe("note one | Noted. | go | You said go.");
  });

  test("is somebody's only where the session is theirs", async () => {
    await using scenario = await start();
    const ours = scenario.runtime.sessionsOf("acme");
    const { session } = await ours.create({ agent: "tester" });
    const { session: fork } = await ours.fork(session.id);
    expect(fork.tenant).toBe("acme");
    const theirs = scenario.runtime.sessionsOf("other");
    for (const attempt of [
      () => theirs.fork(session.id),
      () => theirs.rewind(session.id, { to: "#1" }),
      () => theirs.tree(session.id),
      () => theirs.compare(session.id, fork.id),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "not_found" });
    }
  });
});

describe("a session that is moved back", () => {
  test("goes on from there with the files of then; what it leaves can be gone back to", async () => {
    await using scenario = await start();
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    await say(session, "note one");
    await say(session, "note two");
    const { costUsd, turns } = await sessions.get(session.id);
    const moved = await sessions.rewind(session.id, { to: "~1", actor: "ada" });
    expect(moved.files).toMatchObject({ from: "snapshot" });
    expect(moved.session).toMatchObject({ status: "idle", costUsd, turns });
    expect(await notes(scenario, session.id)).toBe("one\n");
    expect(await say(session, "note three")).toBe("Noted.");
    expect(await known(scenario)).toBe("note one | Noted. | note three");
    expect(await notes(scenario, session.id)).toBe("three\n");

    const back = await sessions.rewind(session.id, { to: moved.from.entryId });
    expect(await notes(scenario, session.id)).toBe("two\n");
    await say(session, "note four");
    expect(await known(scenario)).toBe("note one | Noted. | note two | Noted. | note four");
    const [entry] = (await sessions.entries(session.id)).filter(({ type }) => type === "headMoved");
    expect(entry).toMatchObject({ actor: "ada", from: moved.from.entryId, parentId: moved.to.entryId });
    expect(back.to).toEqual(moved.from);
  });

  test("has its first files again at its beginning, and keeps those that nobody has recorded", async () => {
    await using scenario = await start();
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    await say(session, "note one");
    await writeFile(join(scenario.runtime.workspacePath(session.id), "notes.txt"), "by hand\n");
    const moved = await sessions.rewind(session.id, { to: 1 });
    expect(moved.files).toMatchObject({ from: "template" });
    expect(await notes(scenario, session.id)).toBeUndefined();
    await sessions.rewind(session.id, { to: moved.from.entryId });
    expect(await notes(scenario, session.id)).toBe("by hand\n");
    await sessions.rewind(session.id, { to: "#1", keepFiles: true });
    expect(await notes(scenario, session.id)).toBe("by hand\n");
    // Files stay what they were kept as, also for whoever forks there.
    const { session: fork } = await sessions.fork(session.id);
    expect(await notes(scenario, fork.id)).toBe("by hand\n");
  });

  test("stays in the mode, and under the rules, that people have given it", async () => {
    await using scenario = await start();
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    await say(session, "hello");
    const deny = { scope: "session", list: "deny", rule: "write" } as const;
    await sessions.addRule(session.id, deny);
    await sessions.setMode(session.id, "acceptEdits");
    await say(session, "hello again");
    await sessions.rewind(session.id, { to: "#1" });
    expect(await sessions.permissions(session.id)).toMatchObject({ mode: "acceptEdits" });
    await say(session, "note one");
    expect(await notes(scenario, session.id)).toBeUndefined();
  });

  test("loses no file that no snapshot holds", async () => {
    await using scenario = await start();
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    const at = (name: string) => join(scenario.runtime.workspacePath(session.id), name);
    await say(session, "note one");
    await writeFile(at("local.db"), "first");
    await say(session, "note two");
    await writeFile(at(".gitignore"), "local.db\n");
    await writeFile(at("local.db"), "precious");
    const moved = await sessions.rewind(session.id, { to: "~0" });
    expect(moved.kept).toEqual([{ path: "local.db", why: expect.stringContaining("no snapshot holds") }]);
    expect(await readFile(at("local.db"), "utf8")).toBe("precious");
    expect(await notes(scenario, session.id)).toBe("two\n");
  });

  test("is moved once for each key, and not while it works", async () => {
    const { promise: release, resolve } = Promise.withResolvers<string>();
    const wait = defineTool({
      name: "wait",
      description: "Waits.",
      input: z.object({}),
      run: () => release,
    });
    await using scenario = await startScenario(
      { turns: [{ calls: [{ tool: "wait", input: {} }] }, { times: "any", text: "Done." }] },
      { agent: { tools: [wait] } },
    );
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    const run = await session.send("go");
    while ((await sessions.get(session.id)).status !== "running") await delay(5);
    await expect(sessions.rewind(session.id, { to: "#1" })).rejects.toMatchObject({
      code: "conflict",
      hint: expect.stringContaining("Stop it first"),
    });
    resolve("over");
    await run.result();
    const key = { idempotencyKey: "k", to: "#1" };
    const [first, second] = [await sessions.rewind(session.id, key), await sessions.rewind(session.id, key)];
    expect(second).toEqual(first);
    await expect(sessions.rewind(session.id, { ...key, to: "#2" })).rejects.toMatchObject({
      code: "conflict",
    });
    await expect(sessions.rewind(session.id, { to: "~9" })).rejects.toMatchObject({ code: "not_found" });
    await expect(sessions.rewind(session.id, { to: "e?" })).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("gives calls of every branch ids of their own, whatever ids the provider repeats", async () => {
    const scripted = createScriptedModel(script);
    const repeating: Model = {
      ...scripted,
      async *stream(request, signal) {
        for await (const event of scripted.stream(request, signal)) {
          yield JSON.parse(JSON.stringify(event).replaceAll(/call_\d+_\d+/g, "call_0123456789"));
        }
      },
    };
    await using scenario = await start({ models: () => repeating });
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    for (const text of ["a", "b", "c"]) {
      expect(await say(session, `note ${text}`)).toBe("Noted.");
      expect(await notes(scenario, session.id)).toBe(`${text}\n`);
      await sessions.rewind(session.id, { to: "#1" });
    }
    const started = (await sessions.entries(session.id)).filter((entry) => entry.type === "toolStarted");
    expect(new Set(started.map(({ callId }) => callId)).size).toBe(3);
    expect(new Set(started.map(({ operationId }) => operationId)).size).toBe(3);
  });
});

describe("a run that waits for a person", () => {
  const done: string[] = [];
  const refund = defineTool({
    name: "refund",
    description: "Pays back.",
    input: z.object({ amount: z.number() }),
    run({ amount }, { sessionId }) {
      done.push(`${sessionId}:${amount}`);
      return "paid";
    },
  });
  const asking: Script = {
    turns: [
      { times: "any", when: { step: 1 }, calls: [{ tool: "refund", input: { amount: 5 } }] },
      { times: "any", when: { result: { text: { matches: "^paid" } } }, text: "It is paid." },
      { times: "any", text: "Then not." },
    ],
  };

  async function ask(scenario: Scenario) {
    const session = await scenario.session();
    await scenario.runtime.sessions.send(session.id, { blocks: [{ type: "text", text: "pay" }] });
    return { session, question: await questionOf(scenario, session.id) };
  }

  async function questionOf({ runtime }: Scenario, sessionId: string) {
    for (;;) {
      const [open] = await runtime.sessions.interrupts({ sessionId, status: "open" });
      if (open !== undefined && (await runtime.sessions.get(sessionId)).status === "waiting") return open;
      await delay(5);
    }
  }

  async function idle({ runtime }: Scenario, sessionId: string): Promise<string> {
    while ((await runtime.sessions.get(sessionId)).status !== "idle") await delay(5);
    return said(await runtime.sessions.entries(sessionId));
  }

  test("is answered differently in a fork", async () => {
    await using scenario = await startScenario(asking, { agent: { tools: [refund], permissions: {} } });
    const { sessions } = scenario.runtime;
    const { session, question } = await ask(scenario);
    const asked = (await sessions.entries(session.id)).find(({ type }) => type === "interrupted");
    const { session: fork } = await sessions.fork(session.id, { at: asked?.id ?? "" });
    const own = await questionOf(scenario, fork.id);
    expect(own.id).not.toBe(question.id);
    await sessions.answer(session.id, question.id, { action: "reject" });
    expect(await idle(scenario, session.id)).toBe("pay | Then not.");
    await sessions.answer(fork.id, own.id, { action: "approve" });
    expect(await idle(scenario, fork.id)).toBe("pay | It is paid.");
    expect(done).toEqual([`${fork.id}:5`]);

    // Long after it was answered, too.
    const { session: late } = await sessions.fork(session.id, { at: asked?.id ?? "" });
    const { id } = await questionOf(scenario, late.id);
    await sessions.answer(late.id, id, { action: "approve" });
    expect(await idle(scenario, late.id)).toBe("pay | It is paid.");
    expect(done).toEqual([`${fork.id}:5`, `${late.id}:5`]);
  });

  test("ends where the session is moved back, and so does whoever waits for its answer", async () => {
    await using scenario = await startScenario(asking, { agent: { tools: [refund], permissions: {} } });
    const { sessions } = scenario.runtime;
    const { session, question } = await ask(scenario);
    const moved = await sessions.rewind(session.id, { to: "~1" });
    expect(moved.session).toMatchObject({ status: "idle", lastRunEnd: "stopped" });
    const records = await sessions.interrupts({ sessionId: session.id });
    expect(records.map(({ status }) => status)).toEqual(["closed"]);
    await expect(sessions.answer(session.id, question.id, { action: "approve" })).rejects.toMatchObject({
      code: "conflict",
    });
    expect(await sessions.send(session.id, { blocks: [{ type: "text", text: "again" }] })).toBeDefined();
    const { id } = await questionOf(scenario, session.id);
    await sessions.answer(session.id, id, { action: "reject" });
    expect(await idle(scenario, session.id)).toBe("pay | again | Then not.");
  });
});

describe("across a compaction", () => {
  test("sessions are forked and moved to either side of it", async () => {
    const long: Script = {
      turns: [
        {
          times: "any",
          when: { user: { matches: "Write a summary" } },
          text: "## Goal\nx\n## State\nThe summary.\n## Decisions\nx\n## Next steps\nx",
        },
        { times: "any", text: "You said {{user}}." },
      ],
    };
    await using scenario = await startScenario(long, {
      agent: { model: { id: "scripted/tester", contextWindow: 8_000 } },
    });
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    const filler = "word ".repeat(1_200);
    let compacted: Entry | undefined;
    for (let n = 1; compacted === undefined && n < 12; n++) {
      await say(session, `${n} ${filler}`);
      compacted = (await sessions.entries(session.id)).find(({ type }) => type === "compacted");
    }
    if (compacted === undefined) throw new Error("it was never compacted");
    await say(session, "behind");
    const behind = await known(scenario);
    expect(behind).not.toContain(`1 ${filler.slice(0, 20)}`);

    const { session: before } = await sessions.fork(session.id, { at: "#4" });
    await say(await scenario.runtime.session({ id: before.id }), "in the first fork");
    expect(await known(scenario)).toContain("1 word");
    const { session: after } = await sessions.fork(session.id, { at: compacted.id });
    await say(await scenario.runtime.session({ id: after.id }), "in the second fork");
    expect(await known(scenario)).not.toContain(" 1 word");

    const moved = await sessions.rewind(session.id, { to: "#4" });
    await say(session, "before it");
    expect(await known(scenario)).toMatch(/^1 word .*before it$/s);
    await sessions.rewind(session.id, { to: moved.from.entryId });
    await say(session, "and behind it again");
    expect((await known(scenario)).startsWith(behind.slice(0, 100))).toBe(true);
  });
});

describe("a tree", () => {
  test("has the branches, with what was said on each, and the forks", async () => {
    await using scenario = await start();
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    await say(session, "note one");
    await say(session, "two");
    const moved = await sessions.rewind(session.id, { to: "~1" });
    await say(session, "three");
    const { session: fork } = await sessions.fork(session.id, { at: moved.from.entryId });
    const tree = await sessions.tree(session.id);
    expect(tree.branches).toHaveLength(2);
    const [left, head] = tree.branches;
    expect(left).toMatchObject({
      isHead: false,
      from: null,
      onPathUpTo: moved.to.seq,
      messages: 2,
      turns: 3,
      last: moved.from,
    });
    expect(head).toMatchObject({ isHead: true, from: moved.to, messages: 1, turns: 1, last: tree.head });
    expect(left?.points.map(({ kind, text }) => `${kind}: ${text}`)).toEqual([
      "start: created",
      "message: note one",
      "files: 1 added, 0 changed, 0 removed",
      "answer: Noted.",
      "message: two",
      "answer: You said two.",
    ]);
    expect(head?.points.map(({ text }) => text)).toEqual(["moved back", "three", "You said three."]);
    expect(tree.forks).toMatchObject([{ sessionId: fork.id, at: moved.from.entryId, status: "idle" }]);

    const short = await sessions.tree(session.id, { limit: 2, before: left?.last.seq ?? 0 });
    expect(short.branches.flatMap(({ points }) => points.map(({ text }) => text))).toEqual([
      "two",
      "You said two.",
    ]);
    expect(short.earlierPoints).toBe(4);
    const ofFork = await sessions.tree(fork.id);
    expect(ofFork.forkedFrom).toEqual({ sessionId: session.id, entryId: moved.from.entryId });
    expect(ofFork.branches.map(({ sessionId }) => sessionId)).toEqual([session.id, fork.id]);
    expect(ofFork.branches.map(({ onPathUpTo }) => onPathUpTo)).toEqual([moved.from.seq, moved.from.seq + 1]);
  });
});

describe("a comparison", () => {
  test("says where two sessions parted, what each did since, and how their files differ", async () => {
    await using scenario = await start();
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    await say(session, "note one");
    const { session: fork } = await sessions.fork(session.id);
    await say(session, "note two");
    const other = await scenario.runtime.session({ id: fork.id });
    await say(other, "hello");
    await writeFile(join(scenario.runtime.workspacePath(fork.id), "binary"), Buffer.from([0, 1, 2]));
    const compared = await sessions.compare(session.id, fork.id);
    expect(compared.common?.entryId).toBe(fork.forkedFrom?.entryId);
    expect(compared.one).toMatchObject({
      sessionId: session.id,
      turns: 2,
      lastRunEnd: "endTurn",
      messages: [
        { from: "user", text: "note two" },
        { from: "model", text: "Noted." },
      ],
      calls: [{ name: "write", outcome: "ok", count: 1 }],
    });
    expect(compared.other).toMatchObject({ turns: 1, calls: [], messages: [{ text: "hello" }, {}] });
    expect(compared.files).toEqual({
      changes: [
        { path: "binary", change: "added", diff: null },
        {
          path: "notes.txt",
          change: "changed",
          diff: "--- a/notes.txt\n+++ b/notes.txt\n@@ -1,1 +1,1 @@\n-two\n+one\n",
        },
      ],
      omitted: 0,
      skipped: 0,
    });
    const { session: stranger } = await sessions.create({ agent: "tester" });
    expect(await sessions.compare(session.id, stranger.id)).toMatchObject({ common: null });
  });
});

describe("when the process dies in the middle", () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "holdfast-time-travel-"));
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  /** A session with two states of its files, and the entry and snapshot of the first one. */
  async function sessionWithTwoStates() {
    await using scenario = await start({ dataDir });
    const session = await scenario.session();
    await say(session, "note one");
    await say(session, "note two");
    const [first] = (await scenario.log(session)).filter((entry) => entry.type === "workspaceSaved");
    return { id: session.id, at: first?.id ?? "", due: first?.snapshot ?? "" };
  }

  /** What is left of a process that gets no further than its one step in the store. */
  async function dying(step: (store: Store) => Promise<unknown>): Promise<void> {
    await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
    await step(store);
  }

  test("a move has its files put in order by whoever uses them next", async () => {
    const { id, at, due } = await sessionWithTwoStates();
    await dying(async (store) => {
      const hold = await store.hold(id, { atRest: true });
      if (hold === undefined) throw new Error("it is held");
      const spent = { usage: noUsage, costUsd: 0, unpricedCalls: 0, lostUsd: 0 };
      await store.rewind(hold, { to: at, leaving: [], moved: { type: "headMoved", spent }, due });
    });
    await using scenario = await start({ dataDir });
    const { sessions } = scenario.runtime;
    expect(await notes(scenario, id)).toBe("two\n");
    const [one, other] = await Promise.all([sessions.sandbox(id), sessions.sandbox(id)]);
    for (const sandbox of [one, other]) {
      expect(Buffer.from((await sandbox.readFile("notes.txt"))?.bytes ?? []).toString()).toBe("one\n");
    }
    // Once: what is written now stays.
    await say(await scenario.runtime.session({ id }), "note three");
    await sessions.sandbox(id);
    expect(await notes(scenario, id)).toBe("three\n");
  });

  test("a fork is finished by the same request, and by a run that finds it", async () => {
    const { id, at, due } = await sessionWithTwoStates();
    await dying(async (store) => {
      await store.fork(id, at, "asked-again", { due });
      await store.fork(id, at, "found", { due });
    });
    await using scenario = await start({ dataDir });
    const { sessions } = scenario.runtime;
    const again = await sessions.fork(id, { at, id: "asked-again" });
    expect(again.created).toBe(false);
    expect(await notes(scenario, "asked-again")).toBe("one\n");
    await say(await scenario.runtime.session({ id: "found" }), "look");
    expect(await notes(scenario, "found")).toBe("one\n");
  });

  test("and the snapshot is damaged, it is said, and the session goes on without it", async () => {
    const { id, at } = await sessionWithTwoStates();
    await using scenario = await start({ dataDir });
    const { sessions } = scenario.runtime;
    await rm(join(dataDir, "snapshots", "objects"), { recursive: true });
    const hint = expect.stringContaining("--to '~0' --keep-files");
    await expect(sessions.rewind(id, { to: at })).rejects.toMatchObject({ code: "corrupt", hint });
    await expect(sessions.sandbox(id)).rejects.toMatchObject({ code: "corrupt", hint });
    expect(await notes(scenario, id)).toBe("two\n");
    const { headId } = await sessions.get(id);
    const moved = await sessions.rewind(id, { to: "~0", keepFiles: true });
    expect(moved).toMatchObject({ files: { from: "now" }, to: { entryId: headId } });
    await say(await scenario.runtime.session({ id }), "note three");
    expect(await notes(scenario, id)).toBe("three\n");
  });

  test("before it was noted, nothing has happened", async () => {
    const { id, at } = await sessionWithTwoStates();
    await dying(async (store) => expect(await store.hold(id, { atRest: true })).toBeDefined());
    await using scenario = await start({ dataDir });
    await say(await scenario.runtime.session({ id }), "hello");
    expect(await notes(scenario, id)).toBe("two\n");
    expect(await scenario.runtime.sessions.rewind(id, { to: at })).toMatchObject({ to: { entryId: at } });
  });
});

test("sessions of an agent that is not served here are compared without the files that it would begin with", async () => {
  const home = await mkdtemp(join(tmpdir(), "holdfast-unserved-"));
  try {
    let ids: readonly string[] = [];
    {
      await using scenario = await start({ dataDir: home, agent: { name: "gone" } });
      ids = [(await scenario.session()).id, (await scenario.session()).id];
    }
    await using scenario = await start({ dataDir: home });
    const [one = "", other = ""] = ids;
    expect(await scenario.runtime.sessions.compare(one, other)).toMatchObject({ common: null, files: null });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

describe("where the files of then were not kept", () => {
  test("forks begin with those of now, and a move leaves them", async () => {
    const home = await mkdtemp(join(tmpdir(), "holdfast-unkept-"));
    try {
      let id = "";
      {
        await using scenario = await start({ dataDir: home, agent: { snapshots: { enabled: false } } });
        const session = await scenario.session();
        ({ id } = session);
        await say(session, "hello");
        await say(session, "note one");
        await say(session, "more");
      }
      await using scenario = await start({ dataDir: home });
      const { sessions } = scenario.runtime;
      const fork = await sessions.fork(id, { at: "~1" });
      expect(fork.files).toMatchObject({ from: "now" });
      expect(await notes(scenario, fork.session.id)).toBe("one\n");
      const moved = await sessions.rewind(id, { to: "~1" });
      expect(moved.files).toMatchObject({ from: "now" });
      expect(await notes(scenario, id)).toBe("one\n");
      // Before anything was written it is known what they were.
      expect((await sessions.fork(id, { at: "~1" })).files).toEqual({ from: "template", skipped: 0 });
      await sessions.rewind(id, { to: "~1" });
      expect(await notes(scenario, id)).toBeUndefined();
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});

describe("logs of earlier releases", () => {
  test.each([
    ["v1", "analyst"],
    ["v1-2", "keeper"],
  ])("%s goes on, is forked at every entry, and moved back to any", async (name, agent) => {
    const file = join(import.meta.dirname, `../fixtures/logs/${name}.jsonl`);
    const entries = (await readFile(file, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Entry);
    await using store = await openSqliteStore({ path: ":memory:" });
    await store.importSession(
      { ...imported, id: name, agent },
      (async function* () {
        yield* entries;
      })(),
    );
    await using served = await start({ store, agent: { name: agent } });
    const { sessions } = served.runtime;
    for (const [i, { id }] of entries.entries()) {
      const { session } = await sessions.fork(name, { at: id });
      const waits = canWaitInFork(fold(entries.slice(0, i + 1)));
      expect(session.status).toBe(waits ? "waiting" : "idle");
      expect(repaired(fold(await store.path(session.id)).messages).problems).toEqual([]);
    }
    for (const at of [entries.length, Math.ceil(entries.length / 2), 1]) {
      const { session: fork } = await sessions.fork(name, { at });
      expect(await say(await served.runtime.session({ id: fork.id, agent }), "hello")).toBe(
        "You said hello.",
      );
      await sessions.rewind(name, { to: at });
      expect(await say(await served.runtime.session({ id: name, agent }), "hello")).toBe("You said hello.");
    }
  });
});

const imported = {
  tenant: "default",
  title: null,
  status: "idle",
  lastRunEnd: null,
  createdAt: 0,
  fingerprint: "f",
  due: null,
  turns: 0,
  usage: noUsage,
  costUsd: 0,
  unpricedCalls: 0,
} as const;
