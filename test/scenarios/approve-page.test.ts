import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { createApp } from "../../src/http/app.ts";
import { hashToken } from "../../src/http/auth.ts";
import { defineTool } from "../../src/index.ts";
import { type ApprovalLink, linksOf } from "../../src/run/approvals/link.ts";
import type { InterruptRecord } from "../../src/run/session/interrupts.ts";
import { createFakeClock, type Script } from "../../src/testing/testing.ts";
import {
  type ApiServer,
  type ApiServerOptions,
  ask,
  json,
  script as plainScript,
  startApiServer,
} from "./api-server.ts";
import { type Scenario, startScenario } from "./in-process.ts";

/** The page behind a signed link, as the browser of a mail client meets it: no script, no cookie, no token. */

let done: string[] = [];

const refund = defineTool({
  name: "refund",
  description: "Pays an order back.",
  input: z.object({ order: z.string(), amount: z.number() }),
  run({ order, amount }) {
    done.push(`${order}:${amount}`);
    return `refunded ${amount}`;
  },
});

const pick = defineTool({
  name: "pick",
  description: "Asks which one.",
  effect: "readonly",
  input: z.object({ url: z.string().optional() }),
  async run({ url }, context) {
    const schema = { enum: ["red", "<blue>"] };
    const value = await context.ask(
      url === undefined ? { message: "Which one?", schema } : { message: "Log in.", url },
    );
    done.push(JSON.stringify(value));
    return "picked";
  },
});

/** What a hostile page could have made an agent ask: markup, a right-to-left override, an escape, a zero-width space. */
const HOSTILE = '</pre><script>alert(1)</script>\u202e\u001b[31m\u200b" onmouseover="x';

const script: Script = {
  turns: [
    {
      when: { user: "hostile", after: "user" },
      times: "any",
      calls: [{ tool: "refund", input: { order: HOSTILE, amount: 1 } }],
    },
    {
      when: { user: "refund", after: "user" },
      times: "any",
      calls: [{ tool: "refund", input: { order: "A1", amount: 90 } }],
    },
    {
      when: { user: "write", after: "user" },
      times: "any",
      calls: [{ tool: "write", input: { path: "a.txt", content: "one\ntwo\n" } }],
    },
    {
      when: { user: "much", after: "user" },
      times: "any",
      calls: [{ tool: "write", input: { path: "a.txt", content: "x".repeat(300_000) } }],
    },
    { when: { user: "pick", after: "user" }, times: "any", calls: [{ tool: "pick", input: {} }] },
    {
      when: { user: "login", after: "user" },
      times: "any",
      calls: [{ tool: "pick", input: { url: "javascript:alert(1)" } }],
    },
    { times: "any", text: "Done." },
  ],
};

function start({ agent, ...options }: ApiServerOptions = {}): Promise<ApiServer> {
  done = [];
  return startApiServer(script, { agent: { permissions: {}, tools: [refund, pick], ...agent }, ...options });
}

async function questionOf(
  { runtime }: ApiServer,
  prompt = "refund",
  actor?: string,
): Promise<InterruptRecord> {
  const { session } = await runtime.sessions.create({ agent: "tester" });
  const message = {
    blocks: [{ type: "text", text: prompt }],
    ...(actor === undefined ? {} : { actor }),
  } as const;
  await runtime.sessions.send(session.id, message);
  while ((await runtime.sessions.get(session.id)).status !== "waiting") await delay(5);
  const [question] = await runtime.sessions.interrupts({ sessionId: session.id });
  if (question === undefined) throw new Error("nothing is asked");
  return question;
}

function pathOf({ runtime }: ApiServer, link: ApprovalLink): string {
  return `/v1/approve/${runtime.links?.sign(link)}`;
}

/** The link to a question that goes to this person, or to everybody. */
function linkTo(api: ApiServer, question: InterruptRecord, actor: string | null = null): string {
  const link = linksOf(question).find((each) => each.actor === actor);
  if (link === undefined) throw new Error(`${actor} is sent no link`);
  return pathOf(api, link);
}

async function look(
  api: ApiServer,
  path: string,
): Promise<{ status: number; page: string; headers: Headers }> {
  const { status, body, headers } = await ask(api.url, path);
  return { status, page: String(body), headers };
}

/** As a browser does with a form: also from a page whose origin it does not tell. */
async function submit(api: ApiServer, path: string, fields: Record<string, string>, origin = "null") {
  const { status, body } = await ask(api.url, path, {
    method: "POST",
    body: new URLSearchParams(fields),
    headers: { origin, "sec-fetch-site": "cross-site" },
  });
  return { status, page: String(body) };
}

async function statusOf({ runtime }: ApiServer, { id, sessionId }: InterruptRecord) {
  return (await runtime.sessions.interrupts({ id, sessionId }))[0];
}

async function ended({ runtime }: ApiServer, { sessionId }: InterruptRecord): Promise<void> {
  while ((await runtime.sessions.get(sessionId)).status !== "idle") await delay(5);
}

describe("the page", () => {
  test("shows what is asked, and looking at it answers nothing", async () => {
    await using api = await start({ auth: { tokens: [{ hash: hashToken("needed elsewhere") }] } });
    const question = await questionOf(api, "refund", "carla");
    const path = linkTo(api, question);
    for (const method of ["GET", "HEAD", "GET"]) {
      expect((await ask(api.url, path, { method, headers: { "sec-fetch-site": "cross-site" } })).status).toBe(
        200,
      );
    }
    const { page, headers } = await look(api, path);
    expect(page).toContain("<h1>May tester run refund?</h1>");
    expect(page).toContain("&quot;amount&quot;: 90");
    expect(page).toContain("<dt>Asked for by</dt><dd>carla</dd>");
    expect(page).toContain("<dt>Risk</dt>");
    expect(page.match(/name="action" value="(\w+)"/g)?.map((field) => field.split('"')[3])).toEqual([
      "approve",
      "edit",
      "reject",
      "respond",
    ]);
    expect(headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(headers.get("content-security-policy")).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
    );
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("referrer-policy")).toBe("same-origin");
    expect(await statusOf(api, question)).toMatchObject({ status: "open" });
    expect(done).toEqual([]);
    // Nothing but the link's own path is open.
    expect((await ask(api.url, "/v1/interrupts")).status).toBe(401);
    expect((await ask(api.url, `${path}/x`)).status).toBe(401);
  });

  test("lets nothing of an agent into its markup, and hides nothing", async () => {
    await using api = await start();
    const question = await questionOf(api, "hostile");
    const { page } = await look(api, linkTo(api, question));
    expect(page).not.toMatch(/<script|onmouseover="/i);
    expect(page.match(/<\/?(?!\/)(script|iframe|img|link|meta http)/gi)).toBeNull();
    expect(page).not.toMatch(
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/,
    );
    expect(page).toContain("\\u202e\\u001b[31m\\u200b");
    // What is prefilled is the same JSON as what was asked about.
    const typed = /<textarea class="code"[^>]*>([^<]*)<\/textarea>/.exec(page)?.[1] ?? "";
    const text = typed
      .replaceAll("&quot;", '"')
      .replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">")
      .replaceAll("&amp;", "&");
    expect(JSON.parse(text)).toEqual({ order: HOSTILE, amount: 1 });
  });

  test("says where there is more than anybody reads", async () => {
    await using api = await start();
    const { page } = await look(api, linkTo(api, await questionOf(api, "much")));
    expect(page.length).toBeLessThan(400_000);
    expect(page).toContain("more characters, which are in the session&#39;s log");
    expect(page).not.toContain('value="edit"');
    expect(page).toContain('value="approve"');
  });

  test("shows the change of a file line by line", async () => {
    await using api = await start();
    const { page } = await look(api, linkTo(api, await questionOf(api, "write")));
    expect(page).toContain("<h2>What would change</h2>");
    expect(page).toContain('<span class="add">+one</span>\n<span class="add">+two</span>');
    expect(page).toContain("<summary>All arguments</summary>");
  });
});

describe("an answer", () => {
  test("is that of the person to whom the link was sent, and the first one counts", async () => {
    await using api = await start({ agent: { approvals: { approvers: ["ada", "bob"] } } });
    const question = await questionOf(api);
    const given = await submit(api, linkTo(api, question, "ada"), { action: "approve", actor: "bob" });
    expect(given).toMatchObject({
      status: 200,
      page: expect.stringMatching(/Answered by ada at .* UTC \(link\): approved\./),
    });
    await ended(api, question);
    expect(done).toEqual(["A1:90"]);
    expect(await statusOf(api, question)).toMatchObject({
      answered: { answer: { action: "approve" }, actor: "ada", channel: "link" },
    });
    const second = await submit(api, linkTo(api, question, "bob"), { action: "reject" });
    expect(second.status).toBe(409);
    expect(second.page).toContain("ada has answered this already");
    expect(second.page).not.toContain("<form");
    const { status, page } = await look(api, linkTo(api, question, "bob"));
    expect(status).toBe(200);
    expect(page).toMatch(/Answered by ada at/);
    expect(page).not.toContain("<form");
  });

  test("can be a rejection with words, other arguments, or an answer in the tool's place", async () => {
    await using api = await start();
    const said = async (fields: Record<string, string>) => {
      const question = await questionOf(api);
      const { status } = await submit(api, linkTo(api, question), fields);
      await ended(api, question);
      return [status, (await statusOf(api, question))?.answered?.answer];
    };
    expect(await said({ action: "reject", feedback: " Ask Bob. " })).toEqual([
      200,
      { action: "reject", feedback: "Ask Bob." },
    ]);
    expect(await said({ action: "respond", value: "It was paid." })).toEqual([
      200,
      { action: "respond", value: "It was paid." },
    ]);
    expect(done).toEqual([]);
    const input = { order: "A1", amount: 5 };
    expect(await said({ action: "edit", input: JSON.stringify(input) })).toEqual([
      200,
      { action: "edit", input },
    ]);
    expect(done).toEqual(["A1:5"]);
  });

  test("that does not fit leaves the question open, with what was typed", async () => {
    await using api = await start();
    const question = await questionOf(api);
    const path = linkTo(api, question);
    for (const input of ['{"order": "A1", "amount": "<b>much</b>"}', "{not json", '"x"']) {
      const { status, page } = await submit(api, path, { action: "edit", input });
      expect(status).toBe(400);
      expect(page).toContain(
        `spellcheck="false">${input.replaceAll('"', "&quot;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")}<`,
      );
    }
    expect((await submit(api, path, { action: "explode" })).status).toBe(400);
    expect((await submit(api, path, {})).status).toBe(400);
    expect((await submit(api, path, { action: "raise", limitUsd: "3" })).status).toBe(400);
    expect(await statusOf(api, question)).toMatchObject({ status: "open" });
    expect(done).toEqual([]);
  });

  test("to a question is chosen from what it asks for", async () => {
    await using api = await start({ agent: { permissions: { allow: ["*"] } } });
    const question = await questionOf(api, "pick");
    const { page } = await look(api, linkTo(api, question));
    expect(page).toContain('<option value="&quot;&lt;blue&gt;&quot;">&lt;blue&gt;</option>');
    expect((await submit(api, linkTo(api, question), { action: "respond", value: '"green"' })).status).toBe(
      400,
    );
    expect((await submit(api, linkTo(api, question), { action: "respond", value: '"<blue>"' })).status).toBe(
      200,
    );
    await ended(api, question);
    expect(done).toEqual([expect.stringContaining("<blue>")]);
    const login = await look(api, linkTo(api, await questionOf(api, "login")));
    expect(login.page).toContain("javascript:alert(1)");
    expect(login.page).not.toContain("href");
  });

  test("to what has changed meanwhile does not count, by link or by id", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "holdfast-stale-"));
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
    done = [];
    const open = (allow: string[]) =>
      startScenario(script, {
        dataDir,
        work: allow.length === 0 ? "all" : "none",
        agent: { tools: [refund, pick], permissions: { allow } },
        publicUrl: "https://agents.example.test",
      });
    const ask = async ({ runtime }: Scenario) => {
      const session = await runtime.session();
      await runtime.sessions.send(session.id, { blocks: [{ type: "text", text: "refund" }] });
      while ((await runtime.sessions.get(session.id)).status !== "waiting") await delay(5);
    };
    {
      await using before = await open([]);
      await ask(before);
      await ask(before);
    }
    {
      await using after = await open(["refund(amount<5)"]);
      const { runtime } = after;
      const [one, two] = await runtime.sessions.interrupts();
      const [link] = one === undefined ? [] : linksOf(one);
      if (link === undefined || runtime.links === undefined) throw new Error("no link");
      const app = createApp({ ...runtime, links: runtime.links });
      const form = { method: "POST", body: new URLSearchParams({ action: "approve" }) };
      const byLink = await app.request(`http://localhost/v1/approve/${runtime.links.sign(link)}`, form);
      expect([byLink.status, await byLink.text()]).toEqual([409, expect.stringContaining("asked anew")]);
      const byId = await app.request(
        `http://localhost/v1/interrupts/${two?.id}`,
        json({ action: "approve" }),
      );
      expect([byId.status, await byId.json()]).toMatchObject([409, { error: { details: { stale: true } } }]);
    }
    expect(done).toEqual([]);
  });

  test("of each of several counts once, and the others' links stay", async () => {
    await using api = await start({ agent: { approvals: { approvers: ["ada", "bob"], quorum: 2 } } });
    const question = await questionOf(api);
    const [ada, bob] = [linkTo(api, question, "ada"), linkTo(api, question, "bob")];
    expect((await submit(api, ada, { action: "approve" })).page).toContain("1 of 2; ada");
    expect((await look(api, ada)).page).not.toContain("<form");
    expect((await submit(api, ada, { action: "approve" })).status).toBe(409);
    expect(await statusOf(api, question)).toMatchObject({ status: "open" });
    expect((await submit(api, bob, { action: "approve" })).status).toBe(200);
    await ended(api, question);
    expect(done).toEqual(["A1:90"]);
  });
});

describe("a link", () => {
  test("that was not signed here, or was changed, opens nothing", async () => {
    await using api = await start();
    const question = await questionOf(api);
    const path = linkTo(api, question);
    const [payload = "", signature = ""] = path.replace("/v1/approve/", "").split(".");
    const fields = JSON.parse(Buffer.from(payload, "base64url").toString()) as unknown[];
    const forged = Buffer.from(JSON.stringify([...fields.slice(0, 2), "ada", fields[3]])).toString(
      "base64url",
    );
    const others = [
      `${forged}.${signature}`,
      payload,
      `${payload}.`,
      `${payload}.${signature.slice(0, -4)}`,
      `${payload}.${signature}.x`,
      "x.y",
    ];
    for (const token of others) {
      const { status, page } = await look(api, `/v1/approve/${token}`);
      expect(status, token).toBe(404);
      expect(page).toContain("not one of this server&#39;s");
      expect((await submit(api, `/v1/approve/${token}`, { action: "approve" })).status).toBe(404);
    }
    expect(await statusOf(api, question)).toMatchObject({ status: "open" });
  });

  test("leads to its own question only", async () => {
    await using api = await start();
    const [one, two] = [await questionOf(api), await questionOf(api)];
    const mixed = {
      sessionId: one.sessionId,
      interruptId: two.id,
      actor: null,
      expiresAt: Date.UTC(2999, 0),
    };
    expect((await submit(api, pathOf(api, mixed), { action: "approve" })).status).toBe(404);
    await submit(api, linkTo(api, one), { action: "approve" });
    await ended(api, one);
    expect(await statusOf(api, two)).toMatchObject({ status: "open" });
  });

  test("ends with its time, and says so", async () => {
    const clock = createFakeClock();
    await using api = await start({ clock, agent: { approvals: { expiresAfter: "4h", onExpire: "deny" } } });
    const question = await questionOf(api);
    const early = {
      ...question,
      sessionId: question.sessionId,
      interruptId: question.id,
      actor: null,
      expiresAt: clock.now() + 1_000,
    };
    const path = pathOf(api, early);
    expect((await look(api, path)).status).toBe(200);
    await clock.advance(1_000);
    expect(await look(api, path)).toMatchObject({
      status: 410,
      page: expect.stringContaining("This link has ended"),
    });
    expect((await submit(api, path, { action: "approve" })).status).toBe(410);
    expect((await look(api, linkTo(api, question))).status).toBe(200);
    await clock.advance(4 * 3_600_000);
    await ended(api, question);
    expect(done).toEqual([]);
    expect(await look(api, linkTo(api, question))).toMatchObject({
      status: 200,
      page: expect.stringContaining("Nobody answered in time."),
    });
  });

  test("goes to nobody where it would not say who has it", async () => {
    await using api = await start({
      agent: { approvals: { excludeRequester: true, approvers: ["ada", "bob"] } },
    });
    expect(linksOf(await questionOf(api, "refund", "ada")).map(({ actor }) => actor)).toEqual(["bob"]);
    await using other = await start({ agent: { approvals: { quorum: 2 } } });
    const question = await questionOf(other);
    expect(linksOf(question)).toEqual([]);
    const nobodys = { ...question, interruptId: question.id, actor: null, expiresAt: Date.UTC(2999, 0) };
    expect((await submit(other, pathOf(other, nobodys), { action: "approve" })).status).toBe(403);
  });

  test("is not there on a server that signs none", async () => {
    await using api = await startApiServer(plainScript);
    const app = createApp({ sessions: api.runtime.sessions, agents: api.runtime.agents });
    const response = await app.request("http://localhost/v1/approve/x.y");
    expect([response.status, response.headers.get("content-type")]).toEqual([
      404,
      "text/html; charset=utf-8",
    ]);
  });
});
