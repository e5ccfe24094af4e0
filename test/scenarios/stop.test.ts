import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type Entry, openRuntime, type RunEvent, type Session } from "../../src/index.ts";
import { processDriver } from "../../src/sandboxes/process/process.ts";
import { createFakeClock, type Script } from "../../src/testing/testing.ts";
import { serveProvider } from "../provider-server.ts";
import { type Scenario, startScenario, story } from "./in-process.ts";

/** A stop ends everything that a run has going on, says so in the log, and leaves the session usable. */

const probe = await processDriver().probe();
const reason = probe.problem === null ? "" : ` (skipped: ${probe.problem.reason})`;

describe(`commands in the sandbox${reason}`, () => {
  test.skipIf(!probe.available)(
    "end with all that they started, also what left their process group",
    async () => {
      // Told apart from everything else on the machine by how long they sleep.
      const seconds = [0, 1, 2, 3, 4].map((i) => `${90_000 + i}.${randomInt(1e9)}`);
      const [plain, ignoring, group, lasting, daemon] = seconds;
      const command = [
        `sleep ${plain} &`,
        `(trap '' TERM INT HUP; sleep ${ignoring}) &`,
        `setsid sleep ${group} &`,
        `nohup sleep ${lasting} > /dev/null 2>&1 &`,
        // Leaves its parent, its session and its streams behind, as daemons do.
        `setsid bash -c 'sleep ${daemon} < /dev/null > /dev/null 2>&1 &' &`,
        "disown -a; echo begun; wait; sleep 90009",
      ].join("\n");
      const script: Script = {
        turns: [
          { when: { user: "work", after: "user" }, calls: [{ tool: "shell", input: { command } }] },
          { times: "any", text: "Fine." },
        ],
      };
      await using scenario = await startScenario(script, {
        agent: { sandbox: { isolation: "process" } },
        sandboxes: [processDriver()],
      });
      const session = await scenario.session();
      const run = await session.send("work");
      await until(async () => seconds.every((time) => running(time)));
      expect(await session.stop()).toBe(true);
      expect(await run.result()).toMatchObject({ reason: "stopped" });
      expect(seconds.filter(running)).toEqual([]);
      const log = await scenario.log(session);
      expect(story(log.slice(-4))).toBe("toolStarted stopRequested toolFinished runFinished");
      expect(log.find(({ type }) => type === "toolFinished")).toMatchObject({ outcome: "cancelled" });
      expect(await (await session.send("and now?")).result()).toMatchObject({
        reason: "endTurn",
        text: "Fine.",
      });
    },
  );

  test.skipIf(!probe.available)(
    "end where they run beside others, each with a word on what became of it",
    async () => {
      const seconds = [0, 1, 2].map((i) => `${91_000 + i}.${randomInt(1e9)}`);
      const script: Script = {
        turns: [
          {
            when: { after: "user", user: "work" },
            calls: seconds.map((time) => ({ tool: "shell", input: { command: `sleep ${time}` } })),
          },
          { times: "any", text: "Fine." },
        ],
      };
      await using scenario = await startScenario(script, {
        agent: { sandbox: { isolation: "process" }, limits: { parallelCalls: 2 } },
        sandboxes: [processDriver()],
      });
      const session = await scenario.session();
      await session.send("work");
      await until(async () => seconds.some(running));
      await session.stop();
      expect(seconds.filter(running)).toEqual([]);
      const log = await scenario.log(session);
      expect(outcomes(log)).toEqual(["cancelled", "cancelled", "cancelled"]);
      expect(log.at(-1)).toMatchObject({ type: "runFinished", reason: "stopped" });
    },
  );
});

describe("requests to a model", () => {
  test("that is in the middle of its answer is cut off at the socket, and its half answer is no answer", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "holdfast-stop-"));
    try {
      await using provider = await serveProvider({ fixture: "chat/parallel-tools.sse", hangAfter: 900 });
      const model = { id: "openai-compatible/x", baseUrl: `${provider.url}/v1` };
      await using runtime = await openRuntime({
        agents: [{ name: "tester", systemPrompt: "You are tested.", model }],
        dataDir,
        notify: () => {},
      });
      const session = await runtime.session();
      await first(await session.send("hello"), (event) => event.type !== "entry");
      expect(await session.stop()).toBe(true);
      await provider.abandoned;
      const log = await runtime.sessions.entries(session.id);
      expect(story(log.slice(-3))).toBe("modelCalled stopRequested runFinished");
      expect(log.some(({ type }) => type === "assistantMessage" || type === "modelFailed")).toBe(false);
      expect(provider.requests).toHaveLength(1);
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});

describe("waiting", () => {
  test("for the next try ends, and nothing is tried again", async () => {
    const script: Script = { turns: [{ times: "any", error: { kind: "overloaded", status: 529 } }] };
    const clock = createFakeClock();
    await using scenario = await startScenario(script, { clock });
    const session = await scenario.session();
    const run = await session.send("hello");
    await until(async () => clock.sleeping > 0 && (await typesOf(scenario, session)).includes("modelFailed"));
    expect(await session.stop()).toBe(true);
    expect(await run.result()).toMatchObject({ reason: "stopped" });
    expect(clock.sleeping).toBe(0);
    const types = await typesOf(scenario, session);
    expect(types.filter((type) => type === "modelCalled")).toHaveLength(1);
    expect(types.slice(-2)).toEqual(["stopRequested", "runFinished"]);
  });

  test("for a person ends, and the session goes on with the next message", async () => {
    const script: Script = { turns: [{ times: "any", text: "Fine." }] };
    const prices = { input: 1_000, output: 1_000 };
    await using scenario = await startScenario(script, {
      agent: {
        model: { id: "scripted/tester", prices, maxOutputTokens: 1_000 },
        limits: { costUsd: 0.001 },
      },
    });
    const session = await scenario.session();
    await session.send("hello");
    await until(async () => (await scenario.runtime.sessions.get(session.id)).status === "waiting");
    await scenario.runtime.idle();
    expect(await session.stop()).toBe(true);
    const log = await scenario.log(session);
    // Nobody died meanwhile, so that nothing is resumed.
    expect(story(log.slice(-3))).toBe("interrupted stopRequested runFinished");
    expect(log.at(-1)).toMatchObject({ reason: "stopped" });
    expect(await scenario.runtime.sessions.get(session.id)).toMatchObject({
      status: "idle",
      lastRunEnd: "stopped",
    });
    expect(await session.stop()).toBe(false);
  });
});

test("two stops at once are both answered, and the second of two in a row finds nothing", async () => {
  const script: Script = { turns: [{ times: "any", text: "late", delayMs: { first: 600_000 } }] };
  await using scenario = await startScenario(script);
  const session = await scenario.session();
  await session.send("hello");
  expect(await Promise.all([session.stop(), session.stop()])).toEqual([true, true]);
  expect(await session.stop()).toBe(false);
});

test("a stop that no process obeys is not waited for for ever, and stands", async () => {
  const clock = createFakeClock();
  await using scenario = await startScenario({ turns: [{ text: "never" }] }, { work: "none", clock });
  const session = await scenario.session();
  await session.send("hello");
  const stopping = session.stop();
  stopping.catch(() => {});
  await until(async () => clock.sleeping > 0);
  await clock.advance(30_000);
  await expect(stopping).rejects.toMatchObject({ code: "unavailable" });
  const inbox = await scenario.runtime.sessions.inbox(session.id);
  expect(inbox.map(({ command }) => command.type)).toEqual(["message", "stop"]);
});

/** Whether a process of this machine sleeps so long. */
function running(seconds: string): boolean {
  return spawnSync("ps", ["-eo", "args"], { encoding: "utf8" }).stdout.includes(`sleep ${seconds}`);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20);
}

async function typesOf(scenario: Scenario, session: Session): Promise<readonly Entry["type"][]> {
  return (await scenario.log(session)).map(({ type }) => type);
}

function outcomes(log: readonly Entry[]): readonly string[] {
  return log.flatMap((entry) => (entry.type === "toolFinished" ? [entry.outcome] : []));
}

async function first(
  events: AsyncIterable<RunEvent>,
  wanted: (event: RunEvent) => boolean,
): Promise<RunEvent | undefined> {
  for await (const event of events) if (wanted(event)) return event;
  return undefined;
}
