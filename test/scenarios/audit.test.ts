import { PassThrough } from "node:stream";
import { text as readAll } from "node:stream/consumers";
import { expect, test } from "vitest";
import { z } from "zod";
import { runCli } from "../../src/cli/cli.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { defineTool } from "../../src/index.ts";
import type { Script } from "../../src/testing/testing.ts";
import { startApiServer } from "./api-server.ts";

/** Who decided whether calls may start, read from the logs: over HTTP and by the command line. */

const pay = defineTool({
  name: "pay",
  description: "Pays.",
  input: z.object({ to: z.string() }),
  run: () => "paid",
});
const look = { ...pay, name: "look", effect: "readonly" } as const;

const script: Script = {
  turns: [
    {
      when: { classification: true, user: "to-eve" },
      times: "any",
      text: '{"decision":"deny","reason":"not eve"}',
    },
    {
      when: { classification: true, user: "to-ada" },
      times: "any",
      text: '{"decision":"allow","reason":"asked for"}',
    },
    { when: { classification: true }, times: "any", text: '{"decision":"ask","reason":"who is that"}' },
    {
      when: { step: 1 },
      times: "any",
      calls: ["to-ada", "to-bob", "to-eve"].map((to) => ({ tool: "pay", input: { to } })),
    },
    { when: { step: 2 }, times: "any", calls: [{ tool: "look", input: { to: "x" } }] },
    { times: "any", text: "Done." },
  ],
};
const permissions = { mode: "auto" as const, allow: ["look"], deny: ["fly"] };

test("who decided about calls, and what has decided nothing", async () => {
  await using server = await startApiServer(script, { agent: { tools: [pay, look], permissions } });
  const { client, runtime } = server;
  const { session } = await client.create({ agent: "tester" });
  await client.send(session.id, { blocks: [{ type: "text", text: "pay them" }] });
  const question = async () => (await client.interrupts({ status: "open" }))[0];
  while ((await question()) === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  await client.answer(session.id, (await question())?.id ?? "", { action: "approve" }, { actor: "carl" });
  while ((await client.get(session.id)).status !== "idle")
    await new Promise((resolve) => setTimeout(resolve, 10));

  const audit = await client.audit({ agent: "tester" });
  expect(audit).toEqual(await runtime.sessions.audit({ agent: "tester" }));
  expect(audit.calls.map(({ tool, outcome, layer, by }) => ({ tool, outcome, layer, by })).reverse()).toEqual(
    [
      { tool: "pay", outcome: "started", layer: "classifier", by: "asked for" },
      { tool: "pay", outcome: "started", layer: "person", by: "carl" },
      { tool: "pay", outcome: "refused", layer: "classifier", by: "not eve" },
      expect.objectContaining({ tool: "look", outcome: "started" }),
    ],
  );
  expect(audit.calls[2]).toMatchObject({
    classifier: { decision: "ask", reason: "who is that" },
    person: { action: "approve", actor: "carl" },
    risk: { reversibility: "hard" },
  });
  expect(audit.summary).toMatchObject({
    sessions: 1,
    calls: 4,
    classifier: { asked: 3, agreement: [{ classifier: "ask", people: { approve: 1 } }] },
    people: { answered: 1, expired: 0 },
  });
  expect(audit.summary.unusedRules).toContainEqual({ agent: "tester", rule: "deny: fly (harness.json)" });

  expect(await client.audit({ sessionId: session.id, limit: 1 })).toMatchObject({ omitted: 3 });
  expect((await client.audit({ since: Date.now() + 60_000 })).summary.calls).toBe(0);
  await expect(client.audit({ sessionId: "nothing" })).rejects.toMatchObject({ code: "not_found" });

  const told = await commandLine(["permissions", "audit", "--url", server.url]);
  expect(told).toMatch(/4 calls in 1 session/);
  expect(told).toMatch(/classifier +1 +1 +0/);
  expect(told).toMatch(/it said ask, people: 1 approved/);
  expect(told).toMatch(/people: 1 answer, 0 expired; half within/);
  expect(told).toMatch(/tester: deny: fly \(harness\.json\)/);
  const { calls: _, ...rest } = JSON.parse(
    await commandLine(["permissions", "audit", "--url", server.url, "--json"]),
  );
  expect(rest).toMatchObject({ summary: { calls: 4 }, omitted: 0 });
});

async function commandLine(words: readonly string[]): Promise<string> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const terminal: Terminal = {
    cwd: process.cwd(),
    env: {},
    stdin: new PassThrough().end(),
    stdout,
    stderr,
    interruption: () => new AbortController().signal,
  };
  const exitCode = await runCli(words, terminal);
  const [said, complained] = await Promise.all([readAll(stdout.end()), readAll(stderr.end())]);
  expect({ exitCode, complained }).toEqual({ exitCode: 0, complained: "" });
  return said;
}
