import { createHmac, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { createAgentRegistry } from "../../src/agents/registry.ts";
import { readConfig } from "../../src/config.ts";
import { createApp } from "../../src/http/app.ts";
import { interruptViewSchema } from "../../src/http/ledger-schemas.ts";
import { type AgentDefinition, defineTool, openSqliteStore, type Store } from "../../src/index.ts";
import { createLinkSigner } from "../../src/run/approvals/link.ts";
import type { Notice } from "../../src/run/worker/notices.ts";
import { createNotifier } from "../../src/run/worker/notifier.ts";
import { createFakeClock, type FakeClock, type Script } from "../../src/testing/testing.ts";
import { type Scenario, startScenario } from "./in-process.ts";

/** Questions that are sent to somebody else's server: signed, at least once, and as a rule not more often. */

const SECRET = `whsec_${Buffer.from("a secret of thirty-two characters").toString("base64")}`;
const env = { HOLDFAST_WEBHOOK_SECRET: SECRET };
const PUBLIC_URL = "https://agents.example.test/holdfast";

const refund = defineTool({
  name: "refund",
  description: "Pays an order back.",
  input: z.object({ amount: z.number() }),
  run: ({ amount }) => `refunded ${amount}`,
});

const script: Script = {
  turns: [
    {
      when: { user: "much", after: "user" },
      times: "any",
      calls: [{ tool: "write", input: { path: "a.txt", content: "x".repeat(300_000) } }],
    },
    { when: { after: "user" }, times: "any", calls: [{ tool: "refund", input: { amount: 90 } }] },
    { times: "any", text: "Done." },
  ],
};

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Somebody else's server. Answers with the statuses in turn, then with 204. */
async function startReceiver() {
  const received: Received[] = [];
  const statuses: number[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    received.push({ headers: request.headers, body });
    response.writeHead(statuses.shift() ?? 204, { location: "/elsewhere" }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`,
    received,
    statuses,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** As a receiver checks it, by what Standard Webhooks says alone. */
function isSigned({ headers, body }: Received): boolean {
  const key = Buffer.from(SECRET.slice("whsec_".length), "base64");
  const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const expected = createHmac("sha256", key).update(content).digest();
  const [version, signature = ""] = String(headers["webhook-signature"]).split(",");
  const given = Buffer.from(signature, "base64");
  return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
}

let dataDir: string;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "holdfast-webhook-"));
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
});

function agentWith(approvals: AgentDefinition["approvals"] = {}): Partial<AgentDefinition> {
  return { tools: [refund], permissions: {}, approvals: { webhook: receiver.url, ...approvals } };
}

/** A process that serves. */
function serving(approvals?: AgentDefinition["approvals"], more: object = {}): Promise<Scenario> {
  const config = readConfig({}, env);
  return startScenario(script, {
    agent: agentWith(approvals),
    dataDir,
    config,
    publicUrl: PUBLIC_URL,
    ...more,
  });
}

async function ask({ runtime }: Scenario, text = "go"): Promise<string> {
  const session = await runtime.session();
  await runtime.sessions.send(session.id, { blocks: [{ type: "text", text }] });
  while ((await runtime.sessions.get(session.id)).status !== "waiting") await delay(5);
  return session.id;
}

async function receivedBy(count: number): Promise<readonly Received[]> {
  while (receiver.received.length < count) await delay(5);
  return receiver.received;
}

describe("a server", () => {
  test("sends a question once, signed, with a link for each who may answer, and the link works", async () => {
    await using scenario = await serving({ approvers: ["ada", "bob"] });
    const { runtime } = scenario;
    const sessionId = await ask(scenario);
    const [message] = await receivedBy(1);
    if (message === undefined) throw new Error("nothing came");
    expect(isSigned(message)).toBe(true);
    expect(isSigned({ ...message, body: `${message.body} ` })).toBe(false);
    const { type, timestamp, data } = JSON.parse(message.body);
    const interrupt = interruptViewSchema.parse(data.interrupt);
    expect({ type, timestamp }).toEqual({
      type: "interrupt.opened",
      timestamp: new Date(interrupt.at).toISOString(),
    });
    expect(message.headers["webhook-id"]).toBe(`${interrupt.id}_0`);
    expect(message.headers["content-type"]).toBe("application/json");
    expect(interrupt).toMatchObject({
      sessionId,
      status: "open",
      actions: ["approve", "edit", "reject", "respond"],
    });
    expect(data.links.map(({ actor }: { actor: string }) => actor)).toEqual(["ada", "bob"]);

    const app = createApp({ ...runtime, links: runtime.links ?? createLinkSigner("") });
    const { url } = data.links[1];
    expect(url.startsWith(`${PUBLIC_URL}/v1/approve/`)).toBe(true);
    const path = `http://localhost/v1/approve/${url.split("/").at(-1)}`;
    const answer = { method: "POST", body: new URLSearchParams({ action: "reject" }) };
    expect((await app.request(path, answer)).status).toBe(200);
    while ((await runtime.sessions.get(sessionId)).status !== "idle") await delay(5);
    expect((await runtime.sessions.interrupts({ sessionId }))[0]?.answered).toMatchObject({
      actor: "bob",
      channel: "link",
    });
    expect(receiver.received).toHaveLength(1);
  });

  test("sends what was asked while none ran, and its links outlive it", async () => {
    let first = "";
    {
      await using quiet = await startScenario(script, {
        agent: agentWith(),
        dataDir,
        config: readConfig({}, {}),
      });
      await ask(quiet);
      expect(quiet.runtime.links).toBeUndefined();
    }
    {
      await using scenario = await serving();
      const [message] = await receivedBy(1);
      first = JSON.parse(message?.body ?? "")
        .data.links[0].url.split("/")
        .at(-1);
      expect(scenario.runtime.links?.read(first)).toMatchObject({ actor: null });
    }
    await using again = await serving();
    expect(again.runtime.links?.read(first)).toMatchObject({ actor: null });
    const secret = join(dataDir, "secret");
    expect((await stat(secret)).mode & 0o777).toBe(0o600);
    expect((await readFile(secret, "utf8")).trim()).toHaveLength(43);
    await using elsewhere = await serving(
      {},
      { config: readConfig({}, { ...env, HOLDFAST_SECRET: "x".repeat(32) }) },
    );
    expect(elsewhere.runtime.links?.read(first)).toBeUndefined();
    expect(receiver.received).toHaveLength(1);
  });

  test("leaves out what no receiver takes", async () => {
    await using scenario = await serving();
    await ask(scenario, "much");
    const [message] = await receivedBy(1);
    expect(message?.body.length).toBeLessThan(20_000);
    const { interrupt, links } = JSON.parse(message?.body ?? "").data;
    expect(interruptViewSchema.parse(interrupt).request).toMatchObject({
      call: { tool: "write", input: null },
    });
    expect(interrupt.request.preview).toBeUndefined();
    expect(links).toHaveLength(1);
  });

  test("does not start without a secret to sign with", async () => {
    const started = startScenario(script, {
      agent: agentWith(),
      dataDir,
      config: readConfig({}, {}),
      publicUrl: PUBLIC_URL,
    });
    await expect(started).rejects.toMatchObject({
      code: "invalid_config",
      message: expect.stringContaining("approvals.webhook"),
      hint: expect.stringContaining("HOLDFAST_WEBHOOK_SECRET"),
    });
  });
});

describe("the notifier", () => {
  let clock: FakeClock;
  let store: Store;
  let reports: string[];
  let settled: number;
  beforeEach(async () => {
    settled = 0;
    clock = createFakeClock();
    reports = [];
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
  });

  /** A question that waits, and as many nodes on its store as are wanted. */
  async function waiting(
    approvals?: AgentDefinition["approvals"],
  ): Promise<() => ReturnType<typeof notifier>> {
    await using scenario = await startScenario(script, {
      agent: agentWith(approvals),
      dataDir,
      clock,
      config: readConfig({}, {}),
    });
    await ask(scenario);
    const agents = createAgentRegistry(scenario.runtime.agents.list());
    store = await openSqliteStore({ path: join(dataDir, "holdfast.db"), clock });
    return () => notifier(agents);
  }

  function notifier(agents: ReturnType<typeof createAgentRegistry>) {
    const notices = {
      ...store,
      async settleNotice(notice: Notice) {
        await store.settleNotice(notice);
        settled += 1;
      },
    };
    const created = createNotifier({
      notices,
      agents,
      links: createLinkSigner("x".repeat(32)),
      publicUrl: PUBLIC_URL,
      secret: SECRET,
      clock,
      report: (message) => reports.push(message),
      sweepMs: 5,
    });
    created.start();
    return created;
  }

  const ids = () => receiver.received.map(({ headers }) => headers["webhook-id"]);
  const types = () => receiver.received.map(({ body }) => JSON.parse(body).type);

  async function settledAre(count: number): Promise<void> {
    while (settled < count) await delay(5);
  }

  async function told(count: number): Promise<void> {
    while (reports.length < count) await delay(5);
  }

  test("tries again what was not taken, under the same id and with the same words", async () => {
    const node = await waiting();
    receiver.statuses.push(500, 302, 429);
    await using _ = node();
    for (const [i, waitMs] of [5_000, 30_000, 120_000].entries()) {
      await told(i + 1);
      expect(receiver.received).toHaveLength(i + 1);
      await clock.advance(waitMs);
    }
    const all = await receivedBy(4);
    expect(new Set(ids()).size).toBe(1);
    expect(new Set(all.map(({ body }) => body)).size).toBe(1);
    expect(all.every(isSigned)).toBe(true);
    const times = all.map(({ headers }) => Number(headers["webhook-timestamp"]));
    expect(times.map((time) => time - (times[0] ?? 0))).toEqual([0, 5, 35, 155]);
    expect(reports[1]).toMatch(
      /^the webhook of tester was not told of \S+ \(status 302\); it is tried again in 30 s$/,
    );
    await clock.advance(86_400_000);
    await delay(50);
    expect(receiver.received).toHaveLength(4);
  });

  test("gives up after about a day", async () => {
    const node = await waiting();
    receiver.statuses.push(...Array.from({ length: 11 }, () => 503));
    await using _ = node();
    for (let tries = 1; !reports.at(-1)?.endsWith("given up"); tries++) {
      await told(tries);
      await clock.advance(28_800_000);
    }
    await clock.advance(7 * 86_400_000);
    await delay(50);
    expect(receiver.received).toHaveLength(11);
    const waits = reports.flatMap((report) => /again in (\d+) s$/.exec(report)?.[1] ?? []).map(Number);
    const hours = waits.reduce((sum, seconds) => sum + seconds, 0) / 3_600;
    expect(Math.round(hours)).toBe(24);
  });

  test("gives up at once where no more is wanted", async () => {
    const node = await waiting();
    receiver.statuses.push(410);
    await using _ = node();
    await settledAre(1);
    await told(1);
    expect(reports[0]).toMatch(/\(status 410\); it is given up$/);
    await clock.advance(86_400_000);
    await delay(50);
    expect(receiver.received).toHaveLength(1);
  });

  test("of two nodes one sends", async () => {
    const node = await waiting({ remindAfter: ["1h"] });
    await using _one = node();
    await using _two = node();
    await using _three = node();
    await settledAre(1);
    await delay(50);
    expect(types()).toEqual(["interrupt.opened"]);
    await clock.advance(3_600_000);
    await settledAre(2);
    await delay(50);
    expect(types()).toEqual(["interrupt.opened", "interrupt.reminder"]);
    expect(new Set(ids()).size).toBe(2);
    expect(reports).toEqual([]);
  });

  test("what a node took and did not send is sent by another one, a minute later", async () => {
    const node = await waiting();
    const taken = await store.takeNotices({ agents: ["tester"], limit: 1, forMs: 60_000 });
    expect(taken).toHaveLength(1);
    await using _ = node();
    await delay(50);
    expect(receiver.received).toEqual([]);
    await clock.advance(60_000);
    await receivedBy(1);
    expect(ids()).toEqual([`${taken[0]?.interrupt.id}_0`]);
  });

  test("reminds in time, without those that nobody was there to send, and not of what is answered", async () => {
    const node = await waiting({ remindAfter: ["1h", "2h", "1d"] });
    await clock.advance(3 * 3_600_000);
    await using _ = node();
    await settledAre(1);
    await clock.advance(20 * 3_600_000);
    await delay(50);
    expect(types()).toEqual(["interrupt.opened"]);
    await clock.advance(3_600_000);
    const [, reminder] = await receivedBy(2);
    const { type, timestamp, data } = JSON.parse(reminder?.body ?? "");
    expect([type, timestamp]).toEqual([
      "interrupt.reminder",
      new Date(data.interrupt.request.remindAt[2]).toISOString(),
    ]);
  });

  test("an escalated question is a new one, for those who are asked then", async () => {
    const approvals: AgentDefinition["approvals"] = {
      approvers: ["ada"],
      expiresAfter: "1h",
      onExpire: "escalate",
      escalateTo: ["zoe"],
    };
    await using scenario = await serving(approvals, { clock });
    store = await openSqliteStore({ path: join(dataDir, "holdfast.db"), clock });
    await ask(scenario);
    await receivedBy(1);
    await clock.advance(3_600_000);
    const all = await receivedBy(2);
    const actors = all.map(({ body }) =>
      JSON.parse(body).data.links.map(({ actor }: { actor: string }) => actor),
    );
    expect(actors).toEqual([["ada"], ["zoe"]]);
    expect(types()).toEqual(["interrupt.opened", "interrupt.opened"]);
  });
});
