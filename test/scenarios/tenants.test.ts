import { describe, expect, test } from "vitest";
import { hashToken } from "../../src/http/auth.ts";
import { createClient } from "../../src/http/client.ts";
import { idempotencyKeyHeader, sessionHeader } from "../../src/http/headers.ts";
import type { Script } from "../../src/testing/testing.ts";
import { type ApiServer, ask, json, startApiServer, type WireAnswer } from "./api-server.ts";

/** Whose a session is, and how much an agent and a tenant may have at once. */

const script: Script = {
  turns: [
    { when: { user: "hang" }, times: "any", text: "never said", delayMs: { first: 600_000 } },
    { times: "any", text: "Hello." },
  ],
};

const auth = {
  tokens: [
    { hash: hashToken("token-of-acme"), tenant: "acme" },
    { hash: hashToken("token-of-umbrella"), tenant: "umbrella" },
    { hash: hashToken("token-of-nobody") },
  ],
};

const as = (api: ApiServer, tenant: string) => createClient({ url: api.url, token: `token-of-${tenant}` });

describe("a tenant", () => {
  test("sees, reaches and makes its own sessions only, on every route", async () => {
    await using api = await startApiServer(script, { auth });
    const [acme, umbrella, nobody] = ["acme", "umbrella", "nobody"].map((name) => as(api, name));
    if (acme === undefined || umbrella === undefined || nobody === undefined) throw new Error("no clients");
    await acme.invoke({ prompt: "hello" }, { sessionId: "of-acme" });
    expect(await acme.get("of-acme")).toMatchObject({ tenant: "acme", status: "idle" });
    await nobody.create({ agent: "tester", id: "of-nobody" });
    expect((await acme.list()).map(({ id }) => id)).toEqual(["of-acme"]);
    expect((await nobody.list()).map(({ id, tenant }) => [id, tenant])).toEqual([["of-nobody", "default"]]);
    expect(await umbrella.list()).toEqual([]);

    const { paths } = (await ask(api.url, "/openapi.json", bearer("umbrella"))).body as {
      paths: Record<string, Record<string, unknown>>;
    };
    const bodies: Readonly<Record<string, unknown>> = {
      messages: { prompt: "hello" },
      exec: { command: "true" },
      stop: {},
      "{interruptId}": { action: "end" },
      mode: { mode: "plan" },
      rules: { list: "allow", rule: "*" },
      rewind: { to: "#1" },
    };
    let asked = 0;
    for (const [path, methods] of Object.entries(paths)) {
      if (!path.includes("{sessionId}")) continue;
      for (const method of Object.keys(methods)) {
        const url = path.replace("{sessionId}", "of-acme").replace(/\{\w+\}/g, "x");
        const body = bodies[path.split("/").at(-1) ?? ""] ?? (method === "put" ? "" : undefined);
        const answer = await ask(api.url, url, { ...bearer("umbrella", body), method: method.toUpperCase() });
        expect(answer, `${method} ${path}`).toMatchObject({
          status: 404,
          body: { error: { code: "not_found" } },
        });
        asked += 1;
      }
    }
    expect(asked).toBeGreaterThan(10);
    // Not one of them did anything.
    expect((await acme.entries("of-acme")).filter(({ type }) => type === "userMessage")).toHaveLength(1);
  });

  test("has idempotency keys of its own, and is the actor of its messages", async () => {
    await using api = await startApiServer(script, { auth });
    const acme = await as(api, "acme").create({ agent: "tester", idempotencyKey: "k" });
    const umbrella = await as(api, "umbrella").create({ agent: "tester", idempotencyKey: "k" });
    expect([acme.created, umbrella.created]).toEqual([true, true]);
    expect(umbrella.session.id).not.toBe(acme.session.id);
    expect(await as(api, "acme").create({ agent: "tester", idempotencyKey: "k" })).toMatchObject({
      created: false,
      session: { id: acme.session.id },
    });

    await as(api, "acme").invoke({ prompt: "hello" }, { sessionId: acme.session.id });
    await as(api, "acme").invoke({ prompt: "hello", actor: "ada" }, { sessionId: acme.session.id });
    const entries = await as(api, "acme").entries(acme.session.id);
    expect(entries.flatMap((entry) => (entry.type === "userMessage" ? [entry.actor] : []))).toEqual([
      "acme",
      "ada",
    ]);
  });

  test("nobody sees a word of a stream of others that opens before it is known whose the session is", async () => {
    await using api = await startApiServer(script, { auth });
    await as(api, "acme").create({ agent: "tester", id: "s" });
    const theirs = api.runtime.sessionsOf("umbrella");
    const events = theirs.watch("s", { signal: AbortSignal.timeout(20_000) });
    await as(api, "acme").invoke({ prompt: "hello" }, { sessionId: "s" });
    await expect(Array.fromAsync(events)).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("with 50 callers at once", () => {
  const sessions = Array.from({ length: 50 }, (_, i) => `s${i}`);

  test("exactly as many runs of an agent begin as it may have, and the rest is told when to come back", async () => {
    await using api = await startApiServer(script, { agent: { limits: { runs: 7 } } });
    for (const id of sessions) await api.client.create({ agent: "tester", id });
    const send = (id: string) => ask(api.url, `/v1/sessions/${id}/messages`, json({ prompt: "hang" }));
    const answers = await Promise.all(sessions.map(send));
    expect(statuses(answers)).toEqual({ 202: 7, 429: 43 });
    for (const answer of answers) {
      if (answer.status !== 429) continue;
      expect(answer.headers.get("retry-after")).toBe("5");
      expect(answer.body).toMatchObject({ error: { code: "rate_limited" } });
    }
    const begun = sessions.filter((_, i) => answers[i]?.status === 202);
    const [first = ""] = begun;
    // What joins a run that goes on is none of its own; where one ends, there is room for another.
    expect((await send(first)).status).toBe(202);
    await api.client.stop(first);
    const others = sessions.filter((id) => !begun.includes(id));
    expect(statuses(await Promise.all(others.map(send)))).toEqual({ 202: 1, 429: 42 });
  });

  test("a prompt that is refused leaves no session behind that nobody has the name of", async () => {
    await using api = await startApiServer(script, { agent: { limits: { runs: 1 } } });
    await api.client.create({ agent: "tester", id: "busy" });
    await ask(api.url, "/v1/sessions/busy/messages", json({ prompt: "hang" }));
    const invoke = (headers = {}) => ask(api.url, "/invocations", json({ prompt: "hello" }, headers));
    expect(await invoke()).toMatchObject({ status: 429, body: { error: { code: "rate_limited" } } });
    expect((await api.client.list()).map(({ id }) => id)).toEqual(["busy"]);
    expect((await invoke({ [idempotencyKeyHeader.name]: "k" })).status).toBe(429);
    await api.client.stop("busy");
    expect((await invoke({ [idempotencyKeyHeader.name]: "k" })).status).toBe(200);
    expect(await api.client.list()).toHaveLength(2);
  });

  test("a prompt that is refused leaves no session behind that was made for it, and none counts", async () => {
    await using api = await startApiServer(script, { agent: { limits: { runs: 1, sessionsPerMinute: 3 } } });
    await api.client.create({ agent: "tester", id: "busy" });
    await ask(api.url, "/v1/sessions/busy/messages", json({ prompt: "hang" }));
    const invoke = (id: string) =>
      ask(api.url, "/invocations", json({ prompt: "hello" }, { [sessionHeader.name]: id }));
    const known = await api.client.create({ agent: "tester", id: "known" });
    expect(known.created).toBe(true);
    for (const id of ["known", "new", "new", "other"]) {
      const refused = await invoke(id);
      expect(refused).toMatchObject({
        status: 429,
        body: {
          error: {
            message: 'The agent "tester" has 1 run at once already, which is its limit (limits.runs).',
            hint: "Nothing was stored. Try again when one of them has ended.",
          },
        },
      });
    }
    expect((await api.client.list()).map(({ id }) => id).sort()).toEqual(["busy", "known"]);
    await api.client.stop("busy");
    expect((await invoke("new")).status).toBe(200);
    expect(await invoke("one too many")).toMatchObject({ status: 400 });
    expect(await invoke("one-too-many")).toMatchObject({
      status: 429,
      body: { error: { hint: expect.stringMatching(/^Nothing was stored. Try again in \d+ s\.$/) } },
    });
    // What was used is not deleted by somebody who thinks that it was not.
    await expect(api.client.delete("new", { onlyUnused: true })).rejects.toMatchObject({ code: "conflict" });
    await api.client.delete("known", { onlyUnused: true });
  });

  test("exactly as many runs of a tenant begin, whichever its sessions are", async () => {
    await using api = await startApiServer(script, { auth, env: { HOLDFAST_TENANT_RUNS: "5" } });
    const invoke = (tenant: string) =>
      ask(api.url, "/v1/sessions", bearer(tenant, {})).then(({ body }) =>
        ask(
          api.url,
          `/v1/sessions/${(body as { id: string }).id}/messages`,
          bearer(tenant, { prompt: "hang" }),
        ),
      );
    const answers = await Promise.all(sessions.map((_, i) => invoke(i % 2 ? "acme" : "umbrella")));
    expect(statuses(answers)).toEqual({ 202: 10, 429: 40 });
    expect(
      await as(api, "acme")
        .list({ limit: 100 })
        .then((all) => all.filter(isAtWork).length),
    ).toBe(5);
    for (const tenant of ["acme", "umbrella"]) {
      for (const { id } of (await as(api, tenant).list({ limit: 100 })).filter(isAtWork)) {
        await as(api, tenant).stop(id);
      }
    }
  });

  test("exactly as many sessions are made in a minute, and one that is asked for again is none", async () => {
    await using api = await startApiServer(script, {
      auth,
      agent: { limits: { sessionsPerMinute: 12 } },
      env: { HOLDFAST_TENANT_SESSIONS_PER_MINUTE: "9" },
    });
    const create = (tenant: string, key: string) =>
      ask(api.url, "/v1/sessions", bearer(tenant, {}, { [idempotencyKeyHeader.name]: key }));
    const answers = await Promise.all(sessions.map((key) => create("acme", key)));
    expect(statuses(answers)).toEqual({ 201: 9, 429: 41 });
    const refused = answers.find(({ status }) => status === 429);
    expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(Number(refused?.headers.get("retry-after"))).toBeLessThanOrEqual(60);
    const made = sessions[answers.findIndex(({ status }) => status === 201)] ?? "";
    expect((await create("acme", made)).status).toBe(200);
    // The agent's own limit counts over all tenants.
    expect(statuses(await Promise.all(sessions.map((key) => create("umbrella", key))))).toEqual({
      201: 3,
      429: 47,
    });
  });
});

function bearer(tenant: string, body?: unknown, headers: Record<string, string> = {}): RequestInit {
  const authorization = { authorization: `Bearer token-of-${tenant}` };
  return body === undefined ? { headers: authorization } : json(body, { ...authorization, ...headers });
}

function statuses(answers: readonly WireAnswer[]): Readonly<Record<string, number>> {
  const counted = Map.groupBy(answers, ({ status }) => status);
  return Object.fromEntries([...counted].map(([status, group]) => [status, group.length]));
}

function isAtWork({ status }: { readonly status: string }): boolean {
  return status === "running" || status === "queued";
}
