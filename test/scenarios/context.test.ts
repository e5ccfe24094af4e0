import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { defineTool, type Entry } from "../../src/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { Script } from "../../src/testing/testing.ts";
import { startApiServer } from "./api-server.ts";
import { startScenario } from "./in-process.ts";

const say = (...texts: readonly string[]): Script => ({ turns: texts.map((text) => ({ text })) });
const none = { isolation: "none" as const };

describe("a session whose agent has 300 tools", () => {
  const log: string[] = [];
  const tools = Array.from({ length: 300 }, (_, i) =>
    defineTool({
      name: `shop_${i}`,
      description: `Counts what shelf ${i} holds. And more about it.`,
      input: z.object({ label: z.string() }),
      effect: "once",
      run: ({ label }) => {
        log.push(`${i} ${label}`);
        return `shelf ${i}: ${label}`;
      },
    }),
  );
  const script: Script = {
    turns: [
      { calls: [{ tool: "find_tools", input: { query: "shelf 250", limit: 2 } }] },
      { calls: [{ tool: "call_tool", input: { name: "shop_250", arguments: { label: "nails" } } }] },
      { calls: [{ tool: "call_tool", input: { name: "shop_250", arguments: { label: 7 } } }] },
      { calls: [{ tool: "call_tool", input: { name: "shop_299", arguments: { label: "x" } } }] },
      { calls: [{ tool: "shop_251", input: { label: "screws" } }] },
      { calls: [{ tool: "call_tool", input: { name: "shop_2999", arguments: {} } }] },
      { text: "Done." },
    ],
  };

  it("finds and calls what is not listed, under the rules for the tool itself, and no byte before it changes", async () => {
    log.length = 0;
    await using scenario = await startScenario(script, {
      agent: { tools, sandbox: none, permissions: { allow: ["shop_*", "shell"], deny: ["shop_299"] } },
    });
    const session = await scenario.session();
    await (await session.send("Count.")).result();
    const entries = await scenario.log(session);
    const outcomes = entries.flatMap((entry) =>
      entry.type === "toolFinished" ? [`${entry.name} ${entry.outcome}`] : [],
    );
    expect(outcomes).toEqual([
      "find_tools ok",
      "shop_250 ok",
      "shop_250 invalid",
      "shop_299 denied",
      "shop_251 ok",
      "shop_2999 invalid",
    ]);
    expect(log).toEqual(["250 nails", "251 screws"]);
    expect(startedOf(entries)).toEqual(["find_tools readonly", "shop_250 once", "shop_251 once"]);

    const { requests } = scenario.model;
    const [first] = requests;
    expect(first?.tools.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["shell", "shop_0", "find_tools"]),
    );
    expect(first?.tools).toHaveLength(64);
    expect(first?.system).toContain("- shop_250: Counts what shelf 250 holds.\n");
    for (const { tools: told, system } of requests)
      expect([told, system]).toEqual([first?.tools, first?.system]);
    expect(JSON.stringify(requests[1]?.messages)).toContain(
      "shop_250\\nCounts what shelf 250 holds. And more",
    );
    // Each call's result is bound to the call that the model wrote.
    expect(requests[2]?.messages.at(-1)).toMatchObject({ role: "tool", results: [{ name: "call_tool" }] });
  });

  it("is told of none of this while all tools fit", async () => {
    await using scenario = await startScenario(say("ok"), { agent: { tools: tools.slice(0, 3) } });
    const session = await scenario.session();
    await (await session.send("Hi")).result();
    const names = scenario.model.requests[0]?.tools.map(({ name }) => name);
    expect(names).toContain("shop_2");
    expect(names).not.toContain("find_tools");
  });

  it("may not have one of its own by the names with which others are found", async () => {
    const own = defineTool({ name: "call_tool", description: "", input: z.object({}), run: () => "" });
    await expect(startScenario(say("ok"), { agent: { tools: [own] } })).rejects.toMatchObject({
      code: "invalid_config",
      message: expect.stringContaining('"call_tool"'),
    });
  });
});

describe("what the moment tells", () => {
  let template: string;
  beforeEach(async () => {
    template = await mkdtemp(join(tmpdir(), "holdfast-context-"));
  });
  afterEach(() => rm(template, { recursive: true, force: true }));

  it("is read from the workspace without starting a sandbox, and stays as it was recorded", async () => {
    await writeFile(join(template, "CLAUDE.md"), "Use tabs.");
    await using scenario = await startScenario(say("one", "two"), {
      agent: { workspace: template },
      sandboxes: [],
    });
    const session = await scenario.session();
    await (await session.send("Hi")).result();
    await writeFile(join(template, "CLAUDE.md"), "Use spaces.");
    await (await session.send("Again")).result();
    const [first, second] = scenario.model.requests;
    expect(first?.system).toContain('<project file="CLAUDE.md">\nUse tabs.\n</project>');
    expect(second?.system).toBe(first?.system);
  });

  it("says so where the project's file cannot be read", async () => {
    await mkdir(join(template, "AGENTS.md"));
    await using scenario = await startScenario(say("one"), { agent: { workspace: template } });
    const session = await scenario.session();
    await (await session.send("Hi")).result();
    expect(scenario.model.requests[0]?.system).toContain("(AGENTS.md could not be read: ");
  });

  it("is told anew, behind what was said, when a run begins on another day", async () => {
    let today = Date.UTC(2026, 0, 31, 12);
    const clock = { ...systemClock, now: () => today };
    await using scenario = await startScenario(say("one", "two", "three"), { clock });
    const session = await scenario.session();
    await (await session.send("Hi")).result();
    await (await session.send("Same day")).result();
    today += 24 * 3_600_000;
    await (await session.send("Next day")).result();
    const [first, second, third] = scenario.model.requests;
    expect(first?.system).toContain("Date: Saturday, 2026-01-31 (UTC)");
    expect(second?.messages.filter(({ role }) => role === "user")).toHaveLength(2);
    expect(third?.system).toBe(first?.system);
    expect(third?.messages.at(-1)).toEqual({
      role: "user",
      blocks: [
        {
          type: "text",
          text: '<holdfast-note from="environment">\nThe date is now Sunday, 2026-02-01 (UTC).\n</holdfast-note>',
        },
      ],
    });
    const called = (await scenario.log(session)).filter((entry) => entry.type === "modelCalled");
    expect(called.map(({ prefix }) => prefix?.broke)).toEqual([undefined, undefined, undefined]);
  });
});

describe("a look at the next request", () => {
  it("shows what is sent then, before the first one and later", async () => {
    await using scenario = await startScenario(say("one", "two"));
    const { sessions } = scenario.runtime;
    const session = await scenario.session();
    const before = await sessions.context(session.id, { request: true });
    expect(before.opens).toBe("start");
    await (await session.send("Hi")).result();
    const [first] = scenario.model.requests;
    expect(before.request).toMatchObject({ system: first?.system, tools: first?.tools });

    const after = await sessions.context(session.id, { request: true });
    expect(after.opens).toBeNull();
    expect(after.messages.count).toBe(2);
    await (await session.send("More")).result();
    const second = scenario.model.requests[1];
    expect(second?.messages.slice(0, 2)).toEqual(after.request?.messages);
    expect(second?.system).toBe(after.request?.system);
  });

  it("is the same over HTTP, and leaves the request out unless it is asked for", async () => {
    await using server = await startApiServer(say("one"));
    const { client, runtime } = server;
    const { session } = await client.create({ agent: "tester" });
    expect(await client.context(session.id)).toEqual(await runtime.sessions.context(session.id));
    expect(await client.context(session.id)).not.toHaveProperty("request");
    const { request } = await client.context(session.id, { request: true });
    expect(request?.system).toContain("Do what the test says.");
    await expect(client.context("nowhere")).rejects.toMatchObject({ code: "not_found" });
  });
});

function startedOf(entries: readonly Entry[]): readonly string[] {
  return entries.flatMap((entry) => (entry.type === "toolStarted" ? [`${entry.name} ${entry.effect}`] : []));
}
