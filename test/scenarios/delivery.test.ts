import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineTool, type Entry, type Run, type Session } from "../../src/index.ts";
import type { Script } from "../../src/testing/testing.ts";
import { ask, json, startApiServer } from "./api-server.ts";
import { type Scenario, startScenario, story } from "./in-process.ts";

/** What becomes of messages that arrive while a run goes on. */

const script: Script = {
  turns: [
    {
      when: { user: "work", after: "user" },
      times: "any",
      calls: [
        { tool: "hold", input: { name: "first" } },
        { tool: "hold", input: { name: "second" } },
      ],
    },
    { times: "any", text: "Answer to: {{user}}" },
  ],
};

/** A tool that says when it runs, and ends when it is let go (or told to end). */
function holdTool() {
  const began = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  const ran: string[] = [];
  const tool = defineTool({
    name: "hold",
    description: "Holds.",
    input: z.object({ name: z.string() }),
    effect: "once",
    async run({ name }, { signal }) {
      ran.push(name);
      began.resolve();
      const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      await Promise.race([letGo.promise, stopped]);
      return "held";
    },
  });
  return { tool, ran, began: began.promise, letGo: letGo.resolve };
}

async function startHeld(): Promise<Scenario & { readonly held: ReturnType<typeof holdTool> }> {
  const held = holdTool();
  return {
    ...(await startScenario(script, { agent: { tools: [held.tool], limits: { parallelCalls: 1 } } })),
    held,
  };
}

/** Resolves when everything that was sent is in the log. */
async function taken({ runtime }: Scenario, { id }: Session): Promise<void> {
  const leaving = new AbortController();
  for await (const _event of runtime.sessions.watch(id, { signal: leaving.signal })) {
    if ((await runtime.sessions.inbox(id)).length === 0) break;
  }
  leaving.abort();
}

const endOf = async (run: Run) => {
  const { reason, text, runId } = await run.result();
  return { reason, text, runId };
};

function texts(log: readonly Entry[]): readonly string[] {
  return log.flatMap((entry) =>
    entry.type === "userMessage"
      ? entry.blocks.map((block) => (block.type === "text" ? block.text : ""))
      : [],
  );
}

describe("in a session that works", () => {
  test("what steers is seen next, and calls that have not started are skipped", async () => {
    await using scenario = await startHeld();
    const session = await scenario.session();
    const first = await session.send("work");
    await scenario.held.began;
    const second = await session.send("rather this", { actor: "ada" });
    await taken(scenario, session);
    scenario.held.letGo();
    const [one, two] = await Promise.all([endOf(first), endOf(second)]);
    expect(one).toEqual(two);
    expect(one).toMatchObject({ reason: "endTurn", text: "Answer to: rather this" });
    expect(scenario.held.ran).toEqual(["first"]);
    const log = await scenario.log(session);
    expect(log.find((entry) => entry.type === "userMessage" && entry.actor === "ada")).toBeDefined();
    expect(log.flatMap((entry) => (entry.type === "toolFinished" ? [entry.outcome] : []))).toEqual([
      "ok",
      "cancelled",
    ]);
  });

  test("what follows up is answered afterwards, each by a run of its own, in order", async () => {
    await using scenario = await startHeld();
    const session = await scenario.session();
    const first = await session.send("work");
    await scenario.held.began;
    const second = await session.send("two", { delivery: "followUp" });
    const third = await session.send("three", { delivery: "followUp" });
    await taken(scenario, session);
    scenario.held.letGo();
    const ends = await Promise.all([first, second, third].map(endOf));
    expect(ends.map(({ text }) => text)).toEqual(["Answer to: work", "Answer to: two", "Answer to: three"]);
    expect(new Set(ends.map(({ runId }) => runId)).size).toBe(3);
    expect(scenario.held.ran).toEqual(["first", "second"]);
  });

  test("what interrupts stops the run, then is answered", async () => {
    await using scenario = await startHeld();
    const session = await scenario.session();
    const first = await session.send("work");
    await scenario.held.began;
    const second = await session.send("leave that", { delivery: "interrupt" });
    expect(await endOf(first)).toMatchObject({ reason: "stopped" });
    expect(await endOf(second)).toMatchObject({ reason: "endTurn", text: "Answer to: leave that" });
    expect(story((await scenario.log(session)).slice(-9))).toMatch(
      /stopRequested userMessage toolFinished toolFinished runFinished runStarted .*modelCalled assistantMessage runFinished/,
    );
  });

  test("what is to be refused is refused, and leaves nothing behind", async () => {
    await using scenario = await startHeld();
    const session = await scenario.session();
    const first = await session.send("work", { delivery: "reject", idempotencyKey: "k" });
    await scenario.held.began;
    await expect(session.send("no", { delivery: "reject" })).rejects.toMatchObject({ code: "conflict" });
    const again = await session.send("work", { delivery: "reject", idempotencyKey: "k" });
    expect(again.messageId).toBe(first.messageId);
    scenario.held.letGo();
    await first.result();
    expect(texts(await scenario.log(session))).toEqual(["work"]);
    expect(await endOf(await session.send("now", { delivery: "reject" }))).toMatchObject({
      reason: "endTurn",
    });
  });

  test("a stop ends what was asked for before it, whatever its delivery, and nothing after", async () => {
    await using scenario = await startHeld();
    const session = await scenario.session();
    const before = [await session.send("work")];
    await scenario.held.began;
    before.push(await session.send("steers"), await session.send("follows", { delivery: "followUp" }));
    await taken(scenario, session);
    expect(await session.stop()).toBe(true);
    const ends = await Promise.all(before.map(endOf));
    expect(new Set(ends.map(({ reason, runId }) => `${reason} ${runId}`)).size).toBe(1);
    expect(ends[0]?.reason).toBe("stopped");
    expect(await endOf(await session.send("on"))).toMatchObject({ reason: "endTurn", text: "Answer to: on" });
  });

  test("nothing is lost when the process ends meanwhile", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "holdfast-delivery-"));
    try {
      const held = holdTool();
      const agent = { tools: [held.tool], limits: { parallelCalls: 1 } };
      const first = await startScenario(script, { agent, dataDir, graceMs: 10 });
      const session = await first.session();
      await session.send("work");
      await held.began;
      await session.send("two", { delivery: "followUp" });
      await session.send("three", { delivery: "followUp" });
      await first.runtime[Symbol.asyncDispose]();

      await using next = await startScenario(script, { agent: { tools: [holdTool().tool] }, dataDir });
      const { messageId } = await (await next.runtime.session({ id: session.id })).send("four", {
        delivery: "followUp",
      });
      const events = next.runtime.sessions.watchRun(session.id, messageId, {
        signal: AbortSignal.timeout(30_000),
      });
      const last = (await Array.fromAsync(events)).at(-1);
      expect(last).toMatchObject({ type: "entry", entry: { type: "runFinished", reason: "endTurn" } });
      const answers = (await next.log(session)).flatMap((entry) =>
        entry.type === "assistantMessage"
          ? entry.blocks.flatMap((block) => (block.type === "text" ? [block.text] : []))
          : [],
      );
      expect(answers).toEqual(["work", "two", "three", "four"].map((prompt) => `Answer to: ${prompt}`));
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});

describe("over HTTP", () => {
  test("the agent's delivery counts where the message says nothing; refused ones are 409", async () => {
    const hang: Script = { turns: [{ times: "any", text: "late", delayMs: { first: 600_000 } }] };
    await using api = await startApiServer(hang, { agent: { delivery: "reject" } });
    await api.client.create({ agent: "tester", id: "s" });
    const send = (body: object) => ask(api.url, "/v1/sessions/s/messages", json(body));
    expect((await send({ prompt: "hang" })).status).toBe(202);
    expect(await send({ prompt: "more" })).toMatchObject({
      status: 409,
      body: { error: { code: "conflict" } },
    });
    expect(
      await ask(
        api.url,
        "/invocations",
        json({ prompt: "more" }, { "x-amzn-bedrock-agentcore-runtime-session-id": "s" }),
      ),
    ).toMatchObject({ status: 409 });
    expect((await send({ prompt: "later", delivery: "followUp", actor: "ada" })).status).toBe(202);
    expect(await send({ prompt: "?", delivery: "sometime" })).toMatchObject({ status: 400 });
    await api.client.stop("s");
    const said = (await api.client.entries("s")).filter(({ type }) => type === "userMessage");
    expect(said).toMatchObject([{ blocks: [{ text: "hang" }] }, { delivery: "followUp", actor: "ada" }]);
    expect(await api.client.inbox("s")).toEqual([]);
  });

  test("what waits for a session that nobody works on is shown", async () => {
    await using scenario = await startScenario(script, { work: "none" });
    const session = await scenario.session();
    await scenario.runtime.sessions.send(session.id, { blocks: [{ type: "text", text: "a" }] });
    await scenario.runtime.sessions.send(session.id, {
      blocks: [{ type: "text", text: "b" }],
      delivery: "followUp",
    });
    expect(await scenario.runtime.sessions.inbox(session.id)).toMatchObject([
      { command: { type: "message", blocks: [{ text: "a" }] } },
      { command: { type: "message", delivery: "followUp", blocks: [{ text: "b" }] } },
    ]);
  });
});
