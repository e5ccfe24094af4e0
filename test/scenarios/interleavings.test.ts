import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Entry, InterruptAnswer, Runtime } from "../../src/index.ts";
import { whyNotAlways } from "../../src/run/session/answer.ts";
import { checkLog, checkWaiting } from "./interleaved-checks.ts";
import {
  createWorld,
  generator,
  type Home,
  openHome,
  pick,
  type Random,
  type World,
} from "./interleaved-world.ts";

/**
 * Whatever happens in whatever order, the transcript stays one that every provider accepts, no effect happens twice or without leave,
 * every message is answered or was stopped, and whoever waits waits for something. The order of what is done is drawn from a seed; how
 * it falls together with the run is up to the machine.
 */
const SEEDS = Array.from({ length: 30 }, (_, index) => 1 + index * 7_919);
const ACTIONS = 25;
const seen = new Set<string>();

/** The first is asked nothing about its calls. */
const TERMS: readonly [World["terms"], ...World["terms"][]] = [
  { permissions: { allow: ["*"] } },
  { permissions: {} },
  { permissions: {}, approvals: { expiresAfter: "150ms" } },
  { permissions: {}, approvals: { unknownOutcome: "ask", expiresAfter: "300ms", onExpire: "approve" } },
  { permissions: {}, approvals: { expiresAfter: "100ms", onExpire: "askAgain", abandonAfter: "400ms" } },
];

test.each(SEEDS)("seed %i", async (seed) => {
  const random = generator(seed);
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-interleavings-"));
  const world = createWorld(random, TERMS[SEEDS.indexOf(seed) % TERMS.length] ?? TERMS[0]);
  let home = await openHome(dataDir, world);
  try {
    const { session } = await home.runtime.sessions.create({ agent: "tester" });
    for (let step = 0; step < ACTIONS; step++) {
      await sleep(random() * 25);
      home = await act(home, session.id, dataDir, world, random);
      if (random() < 0.4) await settled(home, session.id);
      await checkWaiting(home, session.id);
    }
    await atRest(home, session.id, random);
    await home.runtime.idle();
    const { claims } = world;
    await sleep(30);
    expect(world.claims, "claims of a session that has nothing to do").toBe(claims);
    const log = await home.runtime.sessions.entries(session.id, 0, 100_000);
    checkLog(log, world);
    expect(world.notices).toEqual([]);
    expect(await home.store.interrupts({ sessionId: session.id, status: "open" })).toEqual([]);
    for (const entry of log) seen.add(nameOf(entry));
  } finally {
    await home[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  }
});

test("between them, the seeds make everything happen", () => {
  expect([...seen]).toEqual(
    expect.arrayContaining([
      "answerPart",
      "resultsCleared",
      "compacted",
      "contextOpened",
      "interrupted",
      "modelFailed",
      "modelSwitched",
      "modeChanged",
      "ruleAdded",
      "runFailed",
      "runPaused",
      "runResumed",
      "stopRequested",
      // What time answers comes when it does: approval-times.test.ts.
      ...["approve", "edit", "reject", "respond", "raise", "end", "withdrawn"],
    ]),
  );
});

function nameOf(entry: Entry): string {
  return entry.type === "interruptResolved" ? entry.answer.action : entry.type;
}

async function act(home: Home, id: string, dataDir: string, world: World, random: Random): Promise<Home> {
  const { sessions } = home.runtime;
  const draw = random();
  if (draw < 0.34) {
    const delivery = pick(["steer", "steer", "followUp", "interrupt"] as const, random);
    await sessions.send(id, { blocks: [{ type: "text", text: `message ${random()}` }], delivery });
  } else if (draw < 0.4) {
    // Stops what is under way; its end is not waited for.
    sessions.stop(id).catch(() => {});
  } else if (draw < 0.64) {
    await answerInterrupts(home.runtime, id, random, 0.7);
  } else if (draw < 0.78) {
    await sessions.setMode(id, pick(["default", "default", "auto", "plan", "dontAsk"] as const, random));
  } else if (draw < 0.86) {
    const list = pick(["allow", "ask", "ask", "deny"] as const, random);
    await sessions.addRule(id, { scope: "session", list, rule: `pay(amount=${pick([1, 2], random)})` });
  } else if (draw < 0.97) {
    await home[Symbol.asyncDispose]();
    return openHome(dataDir, world);
  }
  return home;
}

/** With the given chance each of the open questions gets an answer that fits it. Somebody else, or a stop, may have been first. */
async function answerInterrupts(
  { sessions }: Runtime,
  id: string,
  random: Random,
  chance: number,
): Promise<void> {
  for (const { id: interruptId, request } of await sessions.interrupts({ sessionId: id, status: "open" })) {
    if (random() >= chance) continue;
    const answer = answerTo(request, random);
    await sessions.answer(id, interruptId, answer).catch((error: unknown) => {
      if (!(error instanceof Error && "code" in error && error.code === "conflict")) throw error;
    });
  }
}

function answerTo(
  request: Awaited<ReturnType<Runtime["sessions"]["interrupts"]>>[number]["request"],
  random: Random,
): InterruptAnswer {
  switch (request.kind) {
    case "budget":
      return random() < 0.7
        ? { action: "raise", limitUsd: request.budget.spentUsd + 0.03 }
        : { action: "end" };
    case "outcome":
      return { action: pick(["done", "retry", "skip"] as const, random) };
    case "question":
    case "auth":
      return random() < 0.7 ? { action: "respond", value: "Ada" } : { action: "reject" };
    case "approval":
    case "breakpoint":
      return pick<InterruptAnswer>(
        [
          { action: "approve" },
          { action: "approve" },
          // Where a rule asks every time it cannot be for good.
          whyNotAlways(request) === null ? { action: "approve", always: "session" } : { action: "approve" },
          { action: "edit", input: { amount: 2 } },
          { action: "reject", feedback: "no" },
          { action: "respond", value: "paid by hand" },
        ],
        random,
      );
  }
}

/** Until it has done what it can, or for a moment. */
async function settled({ runtime }: Home, id: string): Promise<void> {
  for (let i = 0; i < 30; i++) {
    const { status } = await runtime.sessions.get(id);
    if (status === "waiting" || status === "idle") return;
    await sleep(5);
  }
}

/** Until nothing is left to do. Whatever waits is answered. */
async function atRest(home: Home, id: string, random: Random): Promise<void> {
  for (;;) {
    const { status } = await home.runtime.sessions.get(id);
    if (status === "idle") return;
    if (status === "waiting") {
      await checkWaiting(home, id);
      await answerInterrupts(home.runtime, id, random, 1);
    }
    await sleep(10);
  }
}
