import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/http/client.ts";
import type { Script } from "../../src/testing/testing.ts";
import { ask, startApiServer } from "./api-server.ts";
import { holdfast } from "./holdfast-process.ts";
import { startScenario, story } from "./in-process.ts";

/** Sessions that are taken from one installation to another, and go on there. */

const script: Script = {
  turns: [
    {
      when: { user: "note", after: "user" },
      times: "any",
      calls: [{ tool: "write", input: { path: "note.txt", content: "remember\n" } }],
    },
    { when: { user: "note", after: "tool" }, times: "any", text: "Noted." },
    {
      when: { user: "look", after: "user" },
      times: "any",
      calls: [{ tool: "read", input: { path: "note.txt" } }],
    },
    { when: { user: "look", after: "tool" }, times: "any", text: "It says: remember." },
    {
      when: { user: "refund", after: "user" },
      times: "any",
      calls: [{ tool: "shell", input: { command: "echo paid >> paid.txt" } }],
    },
    { when: { user: "refund", after: "tool" }, times: "any", text: "Paid." },
  ],
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-moving-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Nothing is asked. */
const permissions = { allow: ["*"] };
const free = { agent: { permissions } };
const isolation = { isolation: "none" } as const;

describe("in a program", () => {
  test("a session goes on where it is imported, with its files, and can be forked at what was before", async () => {
    await using here = await startScenario(script, { agent: { sandbox: isolation, permissions } });
    await using there = await startScenario(script, { agent: { sandbox: isolation, permissions } });
    const session = await here.session();
    expect((await (await session.send("note it")).result()).text).toBe("Noted.");
    const before = await here.log(session);
    const exported = await here.runtime.sessions.export(session.id);
    await there.runtime.sessions.import(exported.bytes(), { expect: exported.id });

    const moved = await there.runtime.session({ id: session.id });
    const result = await (await moved.send("look at it")).result();
    expect(result.text).toBe("It says: remember.");
    expect(story(await there.log(moved)).startsWith(story(before))).toBe(true);

    const answered = before.find(({ type }) => type === "toolFinished");
    const { session: fork } = await there.runtime.sessions.fork(session.id, { at: answered?.id ?? "" });
    const again = await there.runtime.session({ id: fork.id });
    expect((await (await again.send("look at it")).result()).text).toBe("It says: remember.");
  });

  test("what waits for a person waits there, and what they allow happens there, once", async () => {
    const agent = { sandbox: isolation, permissions: { ask: ["shell"], allow: ["*"] } };
    await using here = await startScenario(script, { agent });
    await using there = await startScenario(script, { agent });
    const session = await here.session();
    expect(await (await session.send("refund it")).result()).toMatchObject({ reason: "waiting" });
    const exported = await here.runtime.sessions.export(session.id);
    const { session: imported } = await there.runtime.sessions.import(exported.bytes());
    expect(imported.status).toBe("waiting");

    const [open] = await there.runtime.sessions.interrupts({ status: "open" });
    const { headSeq } = imported;
    await there.runtime.sessions.answer(session.id, open?.id ?? "", { action: "approve" }, { actor: "ada" });
    const ends = there.runtime.sessions.watch(session.id, {
      after: headSeq,
      signal: AbortSignal.timeout(60_000),
    });
    for await (const event of ends) if (event.type === "entry" && event.entry.type === "runFinished") break;
    expect(await readFile(join(there.runtime.workspacePath(session.id), "paid.txt"), "utf8")).toBe("paid\n");
    expect(await readdir(here.runtime.workspacePath(session.id)).catch(() => [])).not.toContain("paid.txt");
  });
});

describe("over HTTP", () => {
  test("a session goes from one server to another", async () => {
    await using here = await startApiServer(script, free);
    await using there = await startApiServer(script, free);
    const { session } = await here.client.create({ agent: "tester" });
    await here.client.invoke({ prompt: "note it" }, { sessionId: session.id });
    const exported = await here.client.export(session.id);
    expect(exported.skipped).toBe(0);
    const chunks = await Array.fromAsync(exported.bytes());
    const imported = await there.client.import(ReadableStream.from(chunks), {
      expect: exported.id,
      as: "moved",
    });
    expect(imported).toMatchObject({
      created: true,
      id: exported.id,
      served: true,
      session: { id: "moved" },
    });
    const again = await there.client.import(ReadableStream.from(chunks), { as: "moved" });
    expect(again.created).toBe(false);
    const answer = await there.client.invoke({ prompt: "look at it" }, { sessionId: "moved" });
    expect(answer.text).toBe("It says: remember.");
    expect([...here.defects, ...there.defects]).toEqual([]);
  });

  test("a server takes in only so much, and nothing that was changed", async () => {
    await using here = await startApiServer(script, free);
    const { session } = await here.client.create({ agent: "tester" });
    const exported = await here.client.export(session.id);
    const file = Buffer.concat(await Array.fromAsync(exported.bytes()));
    const send = (body: Buffer, url = here.url, query = "as=other") =>
      ask(url, `/v1/sessions/import?${query}`, { method: "POST", body: Uint8Array.from(body) });
    const changed = Buffer.from(file);
    changed[file.length >> 1] = (changed[file.length >> 1] ?? 0) ^ 1;
    expect(await send(changed)).toMatchObject({ status: 400, body: { error: { code: "invalid_input" } } });
    expect(await send(Buffer.alloc(0))).toMatchObject({ status: 400 });
    expect(await send(file, here.url, "as=../x")).toMatchObject({ status: 400 });
    expect(await send(file, here.url, "")).toMatchObject({
      status: 409,
      body: { error: { code: "conflict" } },
    });

    await using small = await startApiServer(script, { ...free, importBytes: 500 });
    expect(await send(file, small.url)).toMatchObject({
      status: 413,
      body: { error: { code: "too_large" } },
    });
    expect([...here.defects, ...small.defects]).toEqual([]);
  });

  test("an export that cannot go on breaks off, so that nobody takes the part for the whole", async () => {
    await using here = await startApiServer(script, free);
    const { session } = await here.client.create({ agent: "tester" });
    const workspace = here.runtime.workspacePath(session.id);
    await mkdir(workspace, { recursive: true });
    // More than fits between the two: what is read last is read when it has changed.
    const { randomFillSync } = await import("node:crypto");
    for (let i = 0; i < 12; i++)
      await writeFile(join(workspace, `${i}`), randomFillSync(Buffer.alloc(4_000_000)));
    await writeFile(join(workspace, "last"), "as it was");
    const exported = await createClient({ url: here.url, retryMs: 10 }).export(session.id);
    await writeFile(join(workspace, "last"), "other now");
    await expect(Array.fromAsync(exported.bytes())).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("broke the export off"),
    });
  });
});

describe("on the command line", () => {
  test("a session goes into a file and out of it, into a place where nothing was", async () => {
    const agent = join(folder, "clerk");
    expect(await holdfast(["create", "clerk"], { cwd: folder })).toMatchObject({ exitCode: 0 });
    await writeFile(join(agent, "script.json"), JSON.stringify(script));
    const file = join(agent, "harness.json");
    const model = { id: "scripted", script: "./script.json" };
    await writeFile(
      file,
      JSON.stringify({ ...JSON.parse(await readFile(file, "utf8")), model, permissions }),
    );
    const at = (...words: readonly string[]) => holdfast(words, { cwd: agent });
    expect(await at("run", "note it", "--session", "first")).toMatchObject({ exitCode: 0 });

    const written = await at("sessions", "export", "first", "--json");
    expect(written).toMatchObject({ exitCode: 0 });
    const { id, file: path } = JSON.parse(written.stdout);
    expect(path).toMatch(/first\.holdfast\.tar\.gz$/);
    expect(await at("sessions", "export", "first")).toMatchObject({
      exitCode: 6,
      stderr: expect.stringContaining("exists already"),
    });

    expect(await at("sessions", "export", "first", "-o", "none/first.tar.gz")).toMatchObject({
      exitCode: 4,
      stderr: expect.stringMatching(/^error: there is no folder .*none\n.*-o/),
    });

    const elsewhere = ["--data-dir", join(folder, "elsewhere")];
    const missing = await at("sessions", "import", "nowhere.tar.gz", ...elsewhere);
    expect(missing).toMatchObject({ exitCode: 4, stderr: expect.stringContaining("there is no file") });
    const imported = await at("sessions", "import", path, "--expect", id, ...elsewhere);
    expect(imported).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Imported first: \d+ entries\.\n$/),
    });
    expect(await at("sessions", "import", path, ...elsewhere)).toMatchObject({
      exitCode: 0,
      stdout: "This file was imported before: first is there already.\n",
    });
    expect((await at("run", "look at it", "--session", "first", ...elsewhere)).stdout).toContain(
      "It says: remember.",
    );

    const bare = await at("sessions", "export", "first", "-o", "bare.tar.gz", "--no-workspace");
    expect(bare.stdout).toMatch(/^Exported first to .*bare\.tar\.gz \(\d+ bytes\)\.\nid [0-9a-f]{64}\n$/);
  });
});
