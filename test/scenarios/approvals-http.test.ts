import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { hashToken } from "../../src/http/auth.ts";
import { createClient } from "../../src/http/client.ts";
import { explanationSchema } from "../../src/http/explain-schemas.ts";
import { interruptViewSchema } from "../../src/http/ledger-schemas.ts";
import { defineTool } from "../../src/index.ts";
import type { InterruptView } from "../../src/run/session/answer-schema.ts";
import type { Script } from "../../src/testing/testing.ts";
import {
  type ApiServer,
  type ApiServerOptions,
  ask,
  json,
  startApiServer,
  type WireAnswer,
} from "./api-server.ts";

/** Questions to people, modes and rules over HTTP: what is shown, who may answer, and what a second answer is told. */

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

const script: Script = {
  turns: [
    {
      when: { user: "refund both", after: "user" },
      times: "any",
      calls: [
        { tool: "refund", input: { order: "A1", amount: 1 } },
        { tool: "refund", input: { order: "A2", amount: 2 } },
      ],
    },
    {
      when: { user: "refund", after: "user" },
      times: "any",
      calls: [{ tool: "refund", input: { order: "A1", amount: 90 } }],
    },
    { times: "any", text: "Done." },
  ],
};

function start({ agent, ...options }: ApiServerOptions = {}): Promise<ApiServer> {
  done = [];
  return startApiServer(script, { agent: { permissions: {}, tools: [refund], ...agent }, ...options });
}

/** Sends a message, and waits until its session does. */
async function questionsOf({ runtime, client }: ApiServer, prompt: string, actor?: string) {
  const { session } = await client.create({ agent: "tester" });
  const message = {
    blocks: [{ type: "text", text: prompt }],
    ...(actor === undefined ? {} : { actor }),
  } as const;
  await runtime.sessions.send(session.id, message);
  while ((await runtime.sessions.get(session.id)).status !== "waiting") await delay(5);
  return (await runtime.sessions.interrupts({ sessionId: session.id })).toReversed();
}

async function questionOf(api: ApiServer, actor?: string): Promise<{ id: string; sessionId: string }> {
  const [question, ...more] = await questionsOf(api, "refund", actor);
  if (question === undefined || more.length > 0) throw new Error("not one question");
  return question;
}

async function answered({ runtime }: ApiServer, sessionId: string): Promise<void> {
  while ((await runtime.sessions.get(sessionId)).status !== "idle") await delay(5);
}

const body = (answer: WireAnswer) => answer.body as InterruptView;

describe("a question", () => {
  test("is shown with what can be answered to exactly it, and answered by its id alone", async () => {
    await using api = await start();
    const { id, sessionId } = await questionOf(api);
    const shown = await ask(api.url, `/v1/interrupts/${id}`);
    expect(shown.status).toBe(200);
    expect(interruptViewSchema.parse(shown.body)).toMatchObject({
      id,
      sessionId,
      status: "open",
      request: { kind: "approval", call: { tool: "refund", input: { order: "A1", amount: 90 } } },
      actions: ["approve", "edit", "reject", "respond"],
    });
    const schema = z.fromJSONSchema(body(shown).answerSchema as Parameters<typeof z.fromJSONSchema>[0]);
    const fits = (answer: unknown) => schema.safeParse(answer).success;
    expect(fits({ action: "approve", actor: "ada" })).toBe(true);
    expect(fits({ action: "edit", input: { order: "A1", amount: 9 } })).toBe(true);
    expect(fits({ action: "edit", input: { order: "A1", amount: "all" } })).toBe(false);
    expect(fits({ action: "raise", limitUsd: 3 })).toBe(false);

    const edit = { action: "edit", input: { order: "A1", amount: 9 }, actor: "ada" };
    const given = await ask(api.url, `/v1/interrupts/${id}`, json(edit));
    expect(given).toMatchObject({
      status: 200,
      body: {
        status: "answered",
        actions: [],
        answerSchema: null,
        answered: { actor: "ada", channel: "http" },
      },
    });
    await answered(api, sessionId);
    expect(done).toEqual(["A1:9"]);
    expect(api.defects).toEqual([]);
  });

  test("takes one answer: another one is told who was first, when and with what", async () => {
    await using api = await start();
    const { id, sessionId } = await questionOf(api);
    const path = `/v1/interrupts/${id}`;
    const reject = json(
      { action: "reject", feedback: "Too much.", actor: "ada" },
      { "idempotency-key": "k" },
    );
    const first = await ask(api.url, path, reject);
    const second = await ask(api.url, path, json({ action: "approve", actor: "bob" }));
    expect(second).toMatchObject({
      status: 409,
      body: {
        error: {
          code: "conflict",
          details: {
            actor: "ada",
            at: body(first).answered?.at,
            answer: { action: "reject", feedback: "Too much." },
          },
        },
      },
    });
    const again = await ask(api.url, `/v1/sessions/${sessionId}/interrupts/${id}`, reject);
    expect(
      [first, again].map(({ status, headers }) => [status, headers.get("idempotency-replayed")]),
    ).toEqual([
      [200, null],
      [200, "true"],
    ]);
    expect(again.body).toEqual(first.body);
    const { answer } = api.client;
    const replay = answer(
      sessionId,
      id,
      { action: "reject", feedback: "Too much." },
      { actor: "ada", idempotencyKey: "k" },
    );
    expect(await replay).toMatchObject({ duplicate: true, answered: { actor: "ada" } });
    await answered(api, sessionId);
    expect(done).toEqual([]);
  });

  test("is not answered by what does not fit it, and one that nobody asked is not found", async () => {
    await using api = await start();
    const { id } = await questionOf(api);
    const to = async (path: string, answer: unknown) => (await ask(api.url, path, json(answer))).status;
    expect(await to(`/v1/interrupts/${id}`, { action: "raise", limitUsd: 3 })).toBe(400);
    expect(await to(`/v1/interrupts/${id}`, { action: "edit", input: { order: 1 } })).toBe(400);
    expect(await to(`/v1/interrupts/${id}`, { action: "withdrawn" })).toBe(400);
    expect(await to("/v1/interrupts/nothing", { action: "approve" })).toBe(404);
    expect((await ask(api.url, "/v1/interrupts/nothing")).status).toBe(404);
    expect(body(await ask(api.url, `/v1/interrupts/${id}`)).status).toBe("open");
  });

  test("several are answered at once, each by itself", async () => {
    await using api = await start();
    const [one, two] = await questionsOf(api, "refund both");
    const other = await questionOf(api);
    if (one === undefined || two === undefined) throw new Error("not two questions");
    const several = json(
      [
        { id: one.id, action: "approve", actor: "ada" },
        { id: "nothing", action: "approve" },
        { id: two.id, action: "reject", feedback: "No." },
        { id: two.id, action: "approve" },
        { id: other.id, action: "edit", input: {} },
      ],
      { "idempotency-key": "k" },
    );
    const first = await ask(api.url, "/v1/interrupts", several);
    expect(first.status).toBe(207);
    const { outcomes } = first.body as { outcomes: readonly { id: string; status: number }[] };
    expect(outcomes.map(({ id, status }) => [id, status])).toEqual([
      [one.id, 200],
      ["nothing", 404],
      [two.id, 200],
      [two.id, 409],
      [other.id, 400],
    ]);
    expect(outcomes[0]).toMatchObject({ replayed: false, interrupt: { answered: { actor: "ada" } } });
    await answered(api, one.sessionId);
    expect(done).toEqual(["A1:1"]);
    const second = (await ask(api.url, "/v1/interrupts", several)).body as typeof first.body & {
      outcomes: unknown;
    };
    expect(second.outcomes).toMatchObject([
      { status: 200, replayed: true },
      {},
      { status: 200, replayed: true },
      {},
      {},
    ]);
    expect(api.defects).toEqual([]);
  });

  test("is listed by kind and by who may answer", async () => {
    await using api = await start({ agent: { approvals: { approvers: ["ada"] } } });
    const { id } = await questionOf(api);
    const listed = async (query: string) => {
      const { interrupts } = (await ask(api.url, `/v1/interrupts?${query}`)).body as {
        interrupts: InterruptView[];
      };
      return interrupts.map((each) => each.id);
    };
    expect(await listed("kind=approval&answerableBy=ada&status=open")).toEqual([id]);
    expect(await listed("kind=budget")).toEqual([]);
    expect(await listed("answerableBy=bob")).toEqual([]);
    expect((await ask(api.url, "/v1/interrupts?mine=true")).status).toBe(400);
  });
});

describe("who answers", () => {
  const auth = {
    tokens: [
      { hash: hashToken("operator") },
      { hash: hashToken("acme"), tenant: "acme" },
      { hash: hashToken("ada"), tenant: "acme", actor: "ada" },
      { hash: hashToken("bob"), tenant: "acme", actor: "bob" },
      { hash: hashToken("eve"), actor: "eve" },
    ],
  };
  const as = (token: string, answer: unknown) => json(answer, { authorization: `Bearer ${token}` });

  /** A question in a session of acme, asked for by whoever has the token. */
  async function questionIn(api: ApiServer, token: string): Promise<string> {
    const client = createClient({ url: api.url, token });
    const { session } = await client.create({ agent: "tester" });
    await client.send(session.id, { blocks: [{ type: "text", text: "refund" }] });
    while ((await client.get(session.id)).status !== "waiting") await delay(5);
    return (await client.interrupts({ sessionId: session.id }))[0]?.id ?? "";
  }

  test("with a token of a person it is that person, and nobody else", async () => {
    await using api = await start({ auth });
    const path = `/v1/interrupts/${await questionIn(api, "acme")}`;
    expect(await ask(api.url, path, as("ada", { action: "approve", actor: "bob" }))).toMatchObject({
      status: 403,
      body: { error: { message: expect.stringContaining("belongs to ada") } },
    });
    const given = await ask(api.url, path, as("ada", { action: "approve" }));
    expect(given).toMatchObject({ status: 200, body: { answered: { actor: "ada" } } });
  });

  test("a tenant's word is not enough where it matters who answers; the operator's is", async () => {
    await using api = await start({ auth, agent: { approvals: { approvers: ["ada", "zoe"] } } });
    const path = `/v1/interrupts/${await questionIn(api, "bob")}`;
    const status = async (token: string, answer: unknown) =>
      (await ask(api.url, path, as(token, answer))).status;
    expect(await status("acme", { action: "approve", actor: "ada" })).toBe(403);
    expect(await status("acme", { action: "approve" })).toBe(403);
    expect(await status("bob", { action: "approve" })).toBe(403);
    expect(await status("bob", { action: "approve", actor: "ada" })).toBe(403);
    const mine = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const { interrupts } = (await ask(api.url, "/v1/interrupts?mine=true", { headers })).body as {
        interrupts: unknown[];
      };
      return interrupts.length;
    };
    expect([await mine("ada"), await mine("bob")]).toEqual([1, 0]);
    // The operator acts for people, as an application does for its users; its own tenant's sessions are its own, though.
    expect(await status("operator", { action: "approve", actor: "zoe" })).toBe(404);
    expect(await status("ada", { action: "approve" })).toBe(200);
    const own = `/v1/interrupts/${await questionIn(api, "operator")}`;
    const asZoe = await ask(api.url, own, as("operator", { action: "approve", actor: "zoe" }));
    expect(asZoe).toMatchObject({ status: 200, body: { answered: { actor: "zoe" } } });
  });

  test("nobody else can have it not asked at all", async () => {
    await using api = await start({ auth, agent: { approvals: { approvers: ["ada"] } } });
    const client = createClient({ url: api.url, token: "bob" });
    const { session } = await client.create({ agent: "tester" });
    const path = `/v1/sessions/${session.id}`;
    const status = async (token: string, to: string, what: object, method = "POST") =>
      (await ask(api.url, to, { ...as(token, what), method })).status;
    for (const who of [{}, { actor: "ada" }]) {
      expect(await status("acme", `${path}/mode`, { mode: "auto", ...who }, "PUT")).toBe(403);
      expect(await status("acme", `${path}/rules`, { list: "allow", rule: "*", ...who })).toBe(403);
      expect(await status("acme", `${path}/messages`, { prompt: "refund", mode: "auto", ...who })).toBe(403);
      expect(await status("acme", "/invocations", { prompt: "refund", mode: "auto", ...who })).toBe(403);
    }
    expect(await status("bob", `${path}/mode`, { mode: "auto" }, "PUT")).toBe(403);
    expect(await status("bob", `${path}/rules`, { list: "allow", rule: "*" })).toBe(403);
    expect(await status("bob", `${path}/messages`, { prompt: "refund", mode: "auto" })).toBe(403);
    expect(await status("bob", `${path}/mode`, { mode: "plan" }, "PUT")).toBe(200);
    expect(await status("ada", `${path}/mode`, { mode: "auto" }, "PUT")).toBe(200);
    expect(await status("ada", `${path}/rules`, { list: "allow", rule: "refund" })).toBe(201);
    await answered(api, session.id);
    const own = await createClient({ url: api.url, token: "operator" }).create({ agent: "tester" });
    const deny = { list: "deny", rule: "shell(rm *)" };
    const rules = `/v1/sessions/${own.session.id}/rules`;
    expect(await status("eve", rules, { ...deny, scope: "agent" })).toBe(201);
    await answered(api, own.session.id);
    const gone = (token: string) => {
      const init = { method: "DELETE", headers: { authorization: `Bearer ${token}` } };
      return ask(api.url, `/v1/agents/tester/rules?${new URLSearchParams(deny)}`, init);
    };
    expect([(await gone("eve")).status, (await gone("operator")).status]).toEqual([403, 204]);
    expect(await client.permissions(session.id)).toMatchObject({ mode: "auto", rules: [{ list: "allow" }] });
    expect(done).toEqual([]);
  });

  test("whoever asked for it cannot approve it, under no other name either", async () => {
    await using api = await start({ auth, agent: { approvals: { excludeRequester: true } } });
    const lie = as("ada", { prompt: "refund", actor: "bob" });
    const client = createClient({ url: api.url, token: "ada" });
    const { session } = await client.create({ agent: "tester" });
    expect((await ask(api.url, `/v1/sessions/${session.id}/messages`, lie)).status).toBe(403);
    const path = `/v1/interrupts/${await questionIn(api, "ada")}`;
    const status = async (token: string, answer: unknown) =>
      (await ask(api.url, path, as(token, answer))).status;
    expect(await status("ada", { action: "approve" })).toBe(403);
    expect(await status("acme", { action: "approve" })).toBe(403);
    expect(await status("bob", { action: "approve" })).toBe(200);
  });
});

describe("modes and rules", () => {
  test("a session is switched, alone and with a message", async () => {
    await using api = await start();
    const { session } = await api.client.create({ agent: "tester" });
    const path = `/v1/sessions/${session.id}`;
    const put = (mode: string) =>
      ask(api.url, `${path}/mode`, { ...json({ mode, actor: "ada" }), method: "PUT" });
    const mode = async () => ((await ask(api.url, `${path}/permissions`)).body as { mode: string }).mode;
    expect(await mode()).toBe("default");
    expect(await put("plan")).toMatchObject({ status: 200, body: { mode: "plan" } });
    await expect.poll(mode).toBe("plan");
    expect((await put("bypass")).status).toBe(403);
    expect((await put("yolo")).status).toBe(400);

    const send = json({ prompt: "refund", mode: "dontAsk" }, { "idempotency-key": "m" });
    expect((await ask(api.url, `${path}/messages`, send)).status).toBe(202);
    await answered(api, session.id);
    expect(await mode()).toBe("dontAsk");
    await put("plan");
    await expect.poll(mode).toBe("plan");
    // The repetition of a message does not bring its mode back.
    expect((await ask(api.url, `${path}/messages`, send)).headers.get("idempotency-replayed")).toBe("true");
    await answered(api, session.id);
    expect(await mode()).toBe("plan");
    expect(done).toEqual([]);
  });

  test("rules: of a session, and of an agent, which can be taken back", async () => {
    await using api = await start();
    const { session } = await api.client.create({ agent: "tester" });
    const path = `/v1/sessions/${session.id}`;
    const add = (rule: unknown) => ask(api.url, `${path}/rules`, json(rule));
    expect(await add({ list: "allow", rule: "refund(amount<=5)" })).toMatchObject({ status: 201 });
    expect((await add({ list: "allow", rule: "refund(" })).status).toBe(400);
    expect((await add({ list: "deny", rule: "shell(rm *)", scope: "agent" })).status).toBe(201);
    await answered(api, session.id);
    expect(await api.client.permissions(session.id)).toEqual({
      mode: "default",
      rules: [{ scope: "session", list: "allow", rule: "refund(amount<=5)" }],
    });
    await expect
      .poll(() => api.client.agentRules("tester"))
      .toEqual([{ scope: "agent", list: "deny", rule: "shell(rm *)" }]);
    await api.client.removeAgentRule("tester", { list: "deny", rule: "shell(rm *)" });
    expect(await api.client.agentRules("tester")).toEqual([]);
    await expect(api.client.removeAgentRule("tester", { list: "deny", rule: "x" })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("why a call was decided as it was", async () => {
    await using api = await start();
    const { id, sessionId } = await questionOf(api);
    await ask(
      api.url,
      `/v1/interrupts/${id}`,
      json({ action: "edit", input: { order: "A1", amount: 9 }, actor: "ada" }),
    );
    await answered(api, sessionId);
    const [started] = (await api.client.entries(sessionId)).filter((entry) => entry.type === "toolStarted");
    const path = (callId = "") => `/v1/sessions/${sessionId}/calls/${callId}/permission`;
    const { body: explained } = await ask(api.url, path(started?.callId));
    expect(explanationSchema.parse(explained)).toMatchObject({
      tool: "refund",
      input: { order: "A1", amount: 9 },
      mode: "default",
      decision: { type: "ask" },
      past: { asked: { order: "A1", amount: 90 } },
    });
    const { layers } = explanationSchema.parse(explained);
    expect(layers.find(({ layer }) => layer === "person")).toMatchObject({ by: "ada", says: "change" });
    expect((await ask(api.url, path("call_nothing"))).status).toBe(404);
  });

  test("rules of an agent are not a tenant's to see, make or take back", async () => {
    const auth = { tokens: [{ hash: hashToken("acme"), tenant: "acme" }] };
    await using api = await start({ auth });
    const client = createClient({ url: api.url, token: "acme" });
    const { session } = await client.create({ agent: "tester" });
    const rule = { list: "allow", rule: "refund" } as const;
    const forbidden = { code: "forbidden" };
    await expect(client.agentRules("tester")).rejects.toMatchObject(forbidden);
    await expect(client.removeAgentRule("tester", rule)).rejects.toMatchObject(forbidden);
    await expect(client.addRule(session.id, { scope: "agent", ...rule })).rejects.toMatchObject(forbidden);
    await client.addRule(session.id, { scope: "session", ...rule });
  });
});
