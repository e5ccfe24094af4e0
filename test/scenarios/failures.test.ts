import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openRuntime, type RunEvent } from "../../src/index.ts";
import { startScenario } from "./in-process.ts";

it("a model that nobody knows fails the run, names the nearest provider, and the session goes on", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "holdfast-failures-"));
  try {
    await using runtime = await openRuntime({
      agents: [{ name: "tester", systemPrompt: "You are tested.", model: "antropic/claude-sonnet-4-6" }],
      dataDir,
    });
    const session = await runtime.session();
    const result = await (await session.send("Hi")).result();
    expect(result).toMatchObject({
      reason: "failed",
      error: {
        message: expect.stringMatching(/no model provider is named "antropic".*Did you mean "anthropic"/),
      },
    });
    expect((await runtime.sessions.get(session.id)).status).toBe("idle");
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

it("a provider that never answers is left at the socket when the run is stopped", async () => {
  const closed = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const silent = createServer((request) => {
    request.on("close", () => closed.resolve());
    request.resume().on("end", () => asked.resolve());
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const dataDir = mkdtempSync(join(tmpdir(), "holdfast-failures-"));
  try {
    const baseUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/v1`;
    await using runtime = await openRuntime({
      agents: [{ name: "tester", systemPrompt: "You are tested.", model: { id: "openai/gpt-5.2", baseUrl } }],
      dataDir,
    });
    const session = await runtime.session();
    const run = await session.send("Hi");
    await asked.promise;
    expect(await session.stop()).toBe(true);
    await closed.promise;
    expect(await run.result()).toMatchObject({ reason: "stopped" });
  } finally {
    silent.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});

const mountable = process.getuid?.() === 0 && process.platform === "linux";

it.skipIf(!mountable)(
  "a full disk holds a run up, says so, and lets it go on when there is room (skipped where nothing can be mounted)",
  async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "holdfast-full-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", dataDir]);
    const filler = join(dataDir, "filler");
    const fillUp = () => {
      const { bavail, bsize } = statfsSync(dataDir);
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize)));
    };
    try {
      await using scenario = await startScenario(
        { turns: [{ text: "x".repeat(600_000), chunkSize: 100_000, delayMs: { first: 300 } }] },
        { dataDir },
      );
      const session = await scenario.session();
      const run = await session.send("Write a lot.");
      const seen: RunEvent[] = [];
      for await (const event of run) {
        seen.push(event);
        if (event.type === "entry" && event.entry.type === "modelCalled" && seen.length < 6) fillUp();
        if (event.type === "notice") rmSync(filler);
      }
      expect(seen.find(({ type }) => type === "notice")).toMatchObject({ code: "no_space" });
      expect(seen.at(-1)).toMatchObject({ entry: { type: "runFinished", reason: "endTurn" } });
      const log = await scenario.log(session);
      expect(log.map(({ seq }) => seq)).toEqual(log.map((_, i) => i + 1));
    } finally {
      execFileSync("umount", ["-l", dataDir]);
      rmSync(dataDir, { recursive: true, force: true });
    }
  },
);

it("a run goes on with a fallback, at its own price, and the next run begins with the first model again", async () => {
  const script = {
    turns: [{ error: { kind: "quota" as const } }, { text: "I stand in." }, { text: "I am back." }],
  };
  const fallback = [{ id: "scripted/second", prices: { input: 1_000, output: 0 } }];
  await using scenario = await startScenario(script, {
    agent: { model: { id: "scripted/first", fallback } },
  });
  const session = await scenario.session();
  await (await session.send("Hi")).result();
  await (await session.send("Hi again")).result();
  const log = await scenario.log(session);
  expect(log.filter(({ type }) => type === "modelSwitched")).toMatchObject([
    { from: "scripted/first", to: "scripted/second", why: "quota" },
  ]);
  const answers = log.filter((entry) => entry.type === "assistantMessage");
  expect(answers.map(({ model }) => model)).toEqual(["scripted/second", "scripted/first"]);
  expect(answers[0]?.costUsd).toBeCloseTo(((answers[0]?.usage?.input ?? 0) * 1_000) / 1_000_000);
  expect(answers[0]?.costUsd).toBeGreaterThan(0);
  expect(answers[1]?.costUsd).toBe(0);
});
