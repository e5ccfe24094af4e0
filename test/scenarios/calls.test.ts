import { describe, expect, it } from "vitest";
import type { Entry } from "../../src/index.ts";
import type { Script } from "../../src/testing/testing.ts";
import { type Scenario, startScenario, story } from "./in-process.ts";
import { toolInHand } from "./tools-in-hand.ts";

/** In what order the calls of one answer run, and what becomes of those behind one that failed or a message. */

function script(...calls: readonly (readonly [tool: string, n: number])[]): Script {
  return {
    turns: [{ calls: calls.map(([tool, n]) => ({ tool, input: { n } })) }, { text: "Done.", times: "any" }],
  };
}

function outcomes(log: readonly Entry[]): readonly string[] {
  return log.flatMap((entry) => (entry.type === "toolFinished" ? [`${entry.name} ${entry.outcome}`] : []));
}

function lastTexts(scenario: Scenario): string {
  return JSON.stringify(scenario.model.requests.at(-1)?.messages.findLast(({ role }) => role === "tool"));
}

describe("the calls of one answer", () => {
  it("that read run side by side, and one that writes between those before and those behind it", async () => {
    const seen: string[] = [];
    const look = toolInHand({ name: "look", effect: "readonly" }, seen);
    const pay = toolInHand({ name: "pay" }, seen);
    const asked = script(["look", 1], ["look", 2], ["pay", 3], ["look", 4], ["pay", 5]);
    await using scenario = await startScenario(asked, { agent: { tools: [look.tool, pay.tool] } });
    const run = await (await scenario.session()).send("Go");
    await Promise.all([look.began(1), look.began(2)]);
    look.end(2);
    look.end(1);
    await pay.began(3);
    pay.end(3);
    await look.began(4);
    look.end(4);
    await pay.began(5);
    pay.end(5);
    await run.result();
    expect(seen).toEqual([
      "look 1 begins",
      "look 2 begins",
      "look 2 ends",
      "look 1 ends",
      "pay 3 begins",
      "pay 3 ends",
      "look 4 begins",
      "look 4 ends",
      "pay 5 begins",
      "pay 5 ends",
    ]);
  });

  it("that write may run side by side where their tool says so", async () => {
    const post = toolInHand({ name: "post", effect: "keyed", parallel: true });
    await using scenario = await startScenario(script(["post", 1], ["post", 2]), {
      agent: { tools: [post.tool] },
    });
    const run = await (await scenario.session()).send("Go");
    await Promise.all([post.began(1), post.began(2)]);
    post.end(1, { fails: true });
    post.end(2);
    await run.result();
    expect(scenario.model.requests).toHaveLength(2);
    expect(lastTexts(scenario)).toMatch(/1 failed.*2 done/);
  });

  it("keep to the limit of calls at once", async () => {
    const seen: string[] = [];
    const look = toolInHand({ name: "look", effect: "readonly" }, seen);
    await using scenario = await startScenario(script(["look", 1], ["look", 2], ["look", 3]), {
      agent: { tools: [look.tool], limits: { parallelCalls: 2 } },
    });
    const run = await (await scenario.session()).send("Go");
    await Promise.all([look.began(1), look.began(2)]);
    look.end(2);
    await look.began(3);
    look.end(3);
    look.end(1);
    await run.result();
    expect(seen.indexOf("look 3 begins")).toBeGreaterThan(seen.indexOf("look 2 ends"));
  });

  it("behind one that wrote and failed are not started, and the model is told which one it was", async () => {
    const seen: string[] = [];
    const look = toolInHand({ name: "look", effect: "readonly" }, seen);
    const pay = toolInHand({ name: "pay" }, seen);
    const asked = script(["look", 1], ["pay", 2], ["look", 3], ["pay", 4]);
    await using scenario = await startScenario(asked, { agent: { tools: [look.tool, pay.tool] } });
    const session = await scenario.session();
    const run = await session.send("Go");
    look.end(1, { fails: true });
    pay.end(2, { fails: true });
    await run.result();
    expect(seen).toEqual(["look 1 begins", "look 1 ends", "pay 2 begins", "pay 2 ends"]);
    const log = await scenario.log(session);
    expect(outcomes(log)).toEqual(["look error", "pay error", "look cancelled", "pay cancelled"]);
    const failed = log.find((entry) => entry.type === "toolFinished" && entry.name === "pay");
    const failedId = failed?.type === "toolFinished" ? failed.callId : "";
    expect(lastTexts(scenario).split(`Not started: pay (${failedId})`)).toHaveLength(3);
  });
});

describe("a message that steers", () => {
  it("skips the calls that have not started, and lets the one under way go on", async () => {
    const seen: string[] = [];
    const look = toolInHand({ name: "look", effect: "readonly" }, seen);
    const pay = toolInHand({ name: "pay" }, seen);
    const asked = script(["pay", 1], ["pay", 2], ["look", 3]);
    await using scenario = await startScenario(asked, { agent: { tools: [look.tool, pay.tool] } });
    const session = await scenario.session();
    const run = await session.send("Go");
    await pay.began(1);
    await session.send("Stop paying.");
    await eventually(async () => story(await scenario.log(session)).endsWith("userMessage"));
    pay.end(1);
    await run.result();
    await scenario.runtime.idle();
    expect(seen).toEqual(["pay 1 begins", "pay 1 ends"]);
    expect(outcomes(await scenario.log(session))).toEqual(["pay ok", "pay cancelled", "look cancelled"]);
    expect(lastTexts(scenario)).toContain("the user has sent a message");
    expect(scenario.model.requests.at(-1)?.messages.at(-1)).toMatchObject({
      role: "user",
      blocks: [{ text: "Stop paying." }],
    });
  });

  it("lets calls go on that have begun side by side", async () => {
    const look = toolInHand({ name: "look", effect: "readonly" });
    await using scenario = await startScenario(script(["look", 1], ["look", 2]), {
      agent: { tools: [look.tool] },
    });
    const session = await scenario.session();
    const run = await session.send("Go");
    await Promise.all([look.began(1), look.began(2)]);
    await session.send("And?");
    await eventually(async () => story(await scenario.log(session)).endsWith("userMessage"));
    look.end(1);
    look.end(2);
    await run.result();
    expect(outcomes(await scenario.log(session))).toEqual(["look ok", "look ok"]);
  });
});

describe("a runtime that is closed", () => {
  it("lets the call under way end, starts no other, and leaves the rest to the next one", async () => {
    const seen: string[] = [];
    const pay = toolInHand({ name: "pay" }, seen);
    const options = { agent: { tools: [pay.tool] } };
    await using first = await startScenario(script(["pay", 1], ["pay", 2]), options);
    const session = await first.session();
    await session.send("Go");
    await pay.began(1);
    const closing = first.runtime[Symbol.asyncDispose]();
    pay.end(1);
    await closing;
    expect(seen).toEqual(["pay 1 begins", "pay 1 ends"]);

    await using second = await startScenario(script(["pay", 1], ["pay", 2]), {
      ...options,
      dataDir: first.dataDir,
    });
    await pay.began(2);
    pay.end(2);
    await second.runtime.idle();
    expect(outcomes(await second.log(session))).toEqual(["pay ok", "pay ok"]);
    expect(seen).toHaveLength(4);
  });
});

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it did not become true within 10 s");
}
