import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Entry } from "../../src/index.ts";
import { createFakeClock, type Script } from "../../src/testing/testing.ts";
import { ask, json } from "./api-server.ts";
import { holdfast, type Running, startHoldfast } from "./holdfast-process.ts";
import { startScenario } from "./in-process.ts";

/** A server that is told to end, as a rolling deployment does it: real processes, a scripted model. */

const script: Script = {
  turns: [
    {
      when: { after: "user", user: "work" },
      times: "any",
      calls: [
        {
          tool: "shell",
          input: { command: "echo x >> count; until test -e go; do sleep 0.05; done; cat count" },
        },
      ],
    },
    { when: { user: "think" }, times: 1, text: "I was thinking.", delayMs: { first: 600_000 } },
    { times: "any", text: "That is all." },
  ],
};

let agent: string;
beforeEach(async () => {
  const home = await mkdtemp(join(tmpdir(), "holdfast-drain-"));
  agent = join(home, "clerk");
  expect(await holdfast(["create", "clerk"], { cwd: home })).toMatchObject({ exitCode: 0 });
  const file = join(agent, "harness.json");
  const harness = JSON.parse(await readFile(file, "utf8"));
  await writeFile(join(agent, "script.json"), JSON.stringify(script));
  const model = { id: "scripted", script: "./script.json" };
  await writeFile(file, JSON.stringify({ ...harness, model }));
});
afterEach(() => rm(join(agent, ".."), { recursive: true, force: true }));

async function start(...options: readonly string[]): Promise<Running & { readonly url: string }> {
  const server = startHoldfast(["start", "--port", "0", ...options], { cwd: agent });
  const [, url = ""] = await server.until(/serves at (\S+)/);
  return { ...server, url };
}

/** A session whose run has come as far as an entry of this type. */
async function sessionAt(url: string, prompt: string, type: Entry["type"]): Promise<string> {
  const { body } = await ask(url, "/v1/sessions", json({ id: "s" }));
  expect(body).toMatchObject({ id: "s" });
  expect((await ask(url, "/v1/sessions/s/messages", json({ prompt }))).status).toBe(202);
  await until(async () =>
    JSON.stringify((await ask(url, "/v1/sessions/s/events?format=json")).body).includes(`"${type}"`),
  );
  return "s";
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20);
}

async function shown(): Promise<{
  readonly session: { readonly status: string };
  readonly entries: readonly Entry[];
}> {
  return JSON.parse((await holdfast(["sessions", "show", "s", "--json"], { cwd: agent })).stdout);
}

const typesOf = (entries: readonly Entry[]) => entries.map(({ type }) => type);

test("the call that goes on comes to its end, new work is sent elsewhere, and the next process goes on", async () => {
  const server = await start();
  await sessionAt(server.url, "work", "toolStarted");
  expect(await ask(server.url, "/ready")).toMatchObject({ status: 200, body: { status: "ready" } });

  server.signal("SIGTERM");
  await until(async () => (await ask(server.url, "/ready")).status === 503);
  expect(await ask(server.url, "/ready")).toMatchObject({ body: { status: "draining" } });
  for (const [path, body] of [
    ["/v1/sessions", {}],
    ["/v1/sessions/s/messages", { prompt: "more" }],
    ["/invocations", { prompt: "more" }],
    ["/v1/sessions/s/exec", { command: "true" }],
  ] as const) {
    const refused = await ask(server.url, path, json(body));
    expect(refused, path).toMatchObject({ status: 503, body: { error: { code: "unavailable" } } });
    expect(refused.headers.get("retry-after"), path).toBe("5");
  }
  // What there is can be read and written meanwhile; the command waits for this file.
  expect((await ask(server.url, "/v1/sessions/s/files/go", { method: "PUT", body: "" })).status).toBe(201);
  expect(await server.ended).toMatchObject({ exitCode: 0 });

  const left = await shown();
  expect(left.session.status).toBe("running");
  expect(left.entries.at(-1)).toMatchObject({ type: "toolFinished", outcome: "ok" });

  const next = await start();
  await next.until(/1 session with unfinished work/);
  const tail = await holdfast(["sessions", "tail", "s", "--until-idle"], { cwd: agent });
  expect(tail.stdout).toContain("That is all.");
  next.signal("SIGTERM");
  expect(await next.ended).toMatchObject({ exitCode: 0 });
  const { entries } = await shown();
  expect(typesOf(entries).filter((type) => /^(tool|run)/.test(type))).toEqual([
    "runStarted",
    "toolStarted",
    "toolFinished",
    "runResumed",
    "runFinished",
  ]);
});

test("what has not come to its end within the limit is left as it is, and not marked as failed", async () => {
  const server = await start("--drain-timeout", "200ms");
  await sessionAt(server.url, "think", "modelCalled");
  server.signal("SIGTERM");
  expect(await server.ended).toMatchObject({ exitCode: 0 });
  const { session, entries } = await shown();
  expect(session.status).toBe("running");
  expect(entries.at(-1)?.type).toBe("modelCalled");

  // The lease was given back: whoever comes next need not wait until it runs out.
  const stop = await holdfast(["sessions", "stop", "s"], { cwd: agent });
  expect(stop).toMatchObject({ exitCode: 0, stdout: "Stopped s.\n" });
  expect((await shown()).entries.at(-1)).toMatchObject({ type: "runFinished", reason: "stopped" });
});

test("a run that waits for its next try is left at once", async () => {
  const failing: Script = { turns: [{ times: "any", error: { kind: "overloaded", status: 529 } }] };
  const clock = createFakeClock();
  await using scenario = await startScenario(failing, { clock });
  const session = await scenario.session();
  await session.send("hello");
  await until(async () => clock.sleeping > 0 && (await scenario.log(session)).at(-1)?.type === "modelFailed");
  await scenario.runtime.drain(600_000);
  expect(clock.sleeping).toBe(0);
  expect((await scenario.log(session)).at(-1)?.type).toBe("modelFailed");
});

test("a stop is heard while a server drains, and nothing is begun after it", async () => {
  const silent: Script = { turns: [{ times: "any", text: "late", delayMs: { first: 600_000 } }] };
  await using scenario = await startScenario(silent);
  const session = await scenario.session();
  await session.send("hello");
  await until(async () => (await scenario.log(session)).at(-1)?.type === "modelCalled");
  const drained = scenario.runtime.drain(600_000);
  await session.send("later", { delivery: "followUp" });
  await session.send("instead", { delivery: "interrupt" });
  await drained;
  const log = await scenario.log(session);
  expect(log.at(-1)).toMatchObject({ type: "runFinished", reason: "stopped" });
  expect(log.filter(({ type }) => type === "runStarted")).toHaveLength(1);
  expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({ status: "queued" });
});

test("a second signal ends it at once", async () => {
  const server = await start();
  await sessionAt(server.url, "think", "modelCalled");
  server.signal("SIGTERM");
  await until(async () => (await ask(server.url, "/ready")).status === 503);
  server.signal("SIGTERM");
  expect(await server.ended).toMatchObject({ exitCode: 143 });
});
