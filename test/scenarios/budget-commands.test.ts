import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { holdfast, startHoldfast, startOnTerminal } from "./holdfast-process.ts";

/** Budgets as people and scripts meet them: at the terminal, in a pipe, over HTTP. */

/** Each answer costs about a cent; there is enough for the first call of a run only. */
const harness = {
  name: "payer",
  systemPrompt: "You pay.",
  model: {
    id: "scripted",
    script: "./script.json",
    maxOutputTokens: 1_000,
    prices: { input: 1, output: 10, cacheRead: 0.1, cacheWrite: 1.25 },
  },
  limits: { costUsd: 0.0135 },
};

const usage = { input: 100, cacheRead: 1_000, cacheWrite: 50, output: 980 };
const script = {
  turns: [
    { when: { step: 1 }, times: "any", usage, calls: [{ tool: "list", input: {} }] },
    { when: { step: 2 }, times: "any", usage, text: "It is paid." },
  ],
};

let agent: string;
beforeEach(async () => {
  agent = await mkdtemp(join(tmpdir(), "holdfast-payer-"));
  await writeFile(join(agent, "harness.json"), JSON.stringify(harness));
  await writeFile(join(agent, "script.json"), JSON.stringify(script));
});
afterEach(() => rm(agent, { recursive: true, force: true }));

const here = (...words: readonly string[]) => holdfast(words, { cwd: agent });
const json = async (...words: readonly string[]) => JSON.parse((await here(...words, "--json")).stdout);

describe("in a pipe", () => {
  test("a run that waits ends the command, says how to go on, and goes on", async () => {
    const waiting = await here("run", "Pay.", "--session", "s1");
    expect(waiting.exitCode).toBe(11);
    expect(waiting.stdout).toContain("holdfast interrupts answer s1 --raise 0.0");
    expect(await json("sessions", "list", "--status", "waiting")).toMatchObject({ sessions: [{ id: "s1" }] });
    expect((await json("interrupts", "list")).interrupts).toMatchObject([
      { sessionId: "s1", status: "open", request: { budget: { scope: "run", limitUsd: 0.0135 } } },
    ]);
    const shown = await here("sessions", "show", "s1");
    expect(shown.stdout).toMatch(/work +1 run, 1 model call, 1 tool call\n/);
    expect(shown.stdout).toMatch(/changed (just now|\d+ s ago)\n/);
    expect((await here("interrupts", "show", "s1")).stdout).toContain("the budget of this run");

    for (const wrong of [
      ["--raise", "1", "--end"],
      ["--raise", "0.001"],
    ]) {
      expect(await here("interrupts", "answer", "s1", ...wrong)).toMatchObject({ exitCode: 2, stdout: "" });
    }
    const answered = await here("interrupts", "answer", "s1", "--raise", "$1", "--actor", "ada");
    expect(answered).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("raised to $1.00") });
    const late = await here("interrupts", "answer", "s1", "--end");
    expect(late).toMatchObject({ exitCode: 6, stderr: expect.stringContaining("raised to $1.00 by ada") });

    const done = await here("run", "--session", "s1");
    expect(done).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("It is paid.") });

    const { rows, total } = await json("costs", "--by", "model");
    expect(rows).toMatchObject([{ key: "scripted/payer", calls: 2 }]);
    expect(total.costUsd).toBeCloseTo(2 * (100 + 100 + 62.5 + 9_800) * 1e-6, 12);
    expect((await here("costs", "--since", "1d")).stdout).toMatch(/total +2 +2\.3k +2k +2k +\$0\.02/);

    const trace = await here("trace", "s1");
    expect(trace.stdout).toMatch(/\n1 +scripted\/payer .* 1\.1k +1k +50 +980 +\$0\.0101/);
    expect(trace.stdout).toContain("▸ ada raised to $1.00 after ");
    expect(trace.stdout).toMatch(/time .*waiting for a person /);
    const { totals } = await json("trace", "s1");
    expect(totals).toMatchObject({ runs: 1, turns: 2, modelCalls: 2, toolCalls: 1, unpricedCalls: 0 });
  });
});

test("a message to a session that waits is kept, and the question is told again", async () => {
  await here("run", "Pay.", "--session", "s1");
  const again = await here("run", "And more.", "--session", "s1", "--data-dir", ".holdfast");
  expect(again.exitCode).toBe(11);
  expect(await here("costs", "--agent", "./payer")).toMatchObject({
    exitCode: 4,
    stderr: expect.stringMatching(/no calls of an agent named ".\/payer" are on record\nOn record: payer\./),
  });
  expect((await here("costs", "--agent", "payer")).stdout).toMatch(/total +1 /);
  expect(again.stdout).toMatch(
    /⏸ .* is spent, .* holdfast interrupts answer s1 --data-dir \.holdfast --raise 0\.0\d+; .*\nYour message is kept: /,
  );
  expect(again.stdout).toMatch(/next +holdfast interrupts answer s1 --data-dir \.holdfast --raise 0\.0\d+\n/);
});

describe("at a terminal", () => {
  test("the person who watches is asked, until what they say makes sense", async () => {
    const run = startOnTerminal(["run", "Pay."], { cwd: agent });
    await run.until(/New limit in dollars/);
    run.type("much\r");
    await run.until(/That is not an amount above/);
    run.type("2\r");
    const { exitCode, stdout } = await run.ended;
    expect(exitCode).toBe(0);
    expect(stdout).toContain("It is paid.");
  });

  test("nothing ends the run", async () => {
    const run = startOnTerminal(["run", "Pay."], { cwd: agent });
    await run.until(/New limit in dollars/);
    run.type("\r");
    expect((await run.ended).exitCode).toBe(9);
  });
});

test("over HTTP, a caller is told that the run waits; the first answer counts", async () => {
  const server = startHoldfast(["start", "--port", "0"], { cwd: agent });
  try {
    const [url] = await server.until(/http:\/\/127\.0\.0\.1:\d+/);
    const call = async (path: string, body?: object, key?: string) => {
      const response = await fetch(`${url}${path}`, {
        method: body === undefined ? "GET" : "POST",
        headers: {
          "content-type": "application/json",
          ...(key === undefined ? {} : { "idempotency-key": key }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: JSON.parse(await response.text()) };
    };
    const waiting = await call("/invocations", { prompt: "Pay." }, "k");
    expect(waiting).toMatchObject({
      status: 200,
      body: { reason: "waiting", interrupt: { status: "open" } },
    });
    const { sessionId, interrupt } = waiting.body;
    const open = await call("/v1/interrupts?status=open&agent=payer");
    expect(open.body.interrupts).toMatchObject([interrupt]);

    const path = `/v1/sessions/${sessionId}/interrupts/${interrupt.id}`;
    expect((await call(path, { action: "raise", limitUsd: 0.001 })).status).toBe(400);
    expect((await call(path, { action: "raise" })).status).toBe(400);
    const first = await call(path, { action: "raise", limitUsd: 1, actor: "ada" });
    expect(first).toMatchObject({ status: 200, body: { status: "answered", answered: { actor: "ada" } } });
    expect(await call(path, { action: "end", actor: "bob" })).toMatchObject({
      status: 409,
      body: { error: { code: "conflict", message: expect.stringContaining("ada has answered") } },
    });
    expect((await call(`/v1/sessions/${sessionId}/interrupts/int_none`, { action: "end" })).status).toBe(404);

    const again = await call("/invocations", { prompt: "Pay." }, "k");
    expect(again).toMatchObject({ status: 200, body: { reason: "endTurn", text: "It is paid.", sessionId } });
    expect((await call("/v1/costs?by=session")).body.rows).toMatchObject([{ key: sessionId, calls: 2 }]);
    expect((await call("/v1/costs?since=yesterday")).status).toBe(400);

    const remote = await here("trace", sessionId, "--url", url, "--json");
    expect(JSON.parse(remote.stdout).totals).toMatchObject({ turns: 2, lostCalls: 0 });
  } finally {
    server.signal("SIGTERM");
    await server.ended;
  }
});
