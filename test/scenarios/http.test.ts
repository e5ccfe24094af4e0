import { existsSync } from "node:fs";
import { request as rawRequest } from "node:http";
import { connect } from "node:net";
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { hashToken } from "../../src/http/auth.ts";
import { createClient } from "../../src/http/client.ts";
import { entrySchema } from "../../src/http/entry-schemas.ts";
import {
  agentListSchema,
  execAnswerSchema,
  invocationAnswerSchema,
  pingSchema,
  sessionListSchema,
  sessionSchema,
} from "../../src/http/schemas.ts";
import { serve } from "../../src/http/server.ts";
import { pngImage } from "../sample-images.ts";
import { type ApiServer, ask, json, script, startApiServer } from "./api-server.ts";

const sessionHeader = "x-amzn-bedrock-agentcore-runtime-session-id";
const unknownSession = "/v1/sessions/s_nothing";

let api: ApiServer;
beforeAll(async () => {
  api = await startApiServer(script);
});
afterAll(async () => {
  expect(api.defects).toEqual([]);
  await api[Symbol.asyncDispose]();
});

async function newSession(): Promise<string> {
  return (await api.client.create({ agent: "tester" })).session.id;
}

/** Every error has one shape, and says something to a person. */
function errorOf(code: string, message: RegExp = /./) {
  return { error: expect.objectContaining({ code, message: expect.stringMatching(message) }) };
}

describe("GET /ping", () => {
  test("healthy; busy while a run is under way; the time moves only with the status", async () => {
    const { body } = await ask(api.url, "/ping");
    expect(pingSchema.parse(body).status).toBe("Healthy");
    const again = await ask(api.url, "/ping");
    expect(again.body).toEqual(body);

    const id = await newSession();
    await api.client.send(id, { blocks: [{ type: "text", text: "hang" }] });
    await expect.poll(async () => (await api.client.ping()).status).toBe("HealthyBusy");
    const busy = await api.client.ping();
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(await api.client.ping()).toEqual(busy);
    await api.client.stop(id);
    expect((await api.client.ping()).status).toBe("Healthy");
  });
});

describe("POST /invocations", () => {
  test("JSON: the answer, its cost, and the session in the header", async () => {
    const { status, headers, body } = await ask(api.url, "/invocations", json({ prompt: "hello" }));
    expect(status).toBe(200);
    const answer = invocationAnswerSchema.parse(body);
    expect(answer).toMatchObject({
      text: "Hello to you.",
      reason: "endTurn",
      usage: { input: 10, output: 4 },
    });
    expect(headers.get(sessionHeader)).toBe(answer.sessionId);
  });

  test("the header continues a session, or names a new one", async () => {
    const id = `agentcore-session-of-at-least-33-chars-${Date.now()}`;
    const first = await ask(api.url, "/invocations", json({ prompt: "hello" }, { [sessionHeader]: id }));
    const second = await ask(
      api.url,
      "/invocations",
      json({ prompt: "hello again" }, { [sessionHeader]: id }),
    );
    expect([first.headers.get(sessionHeader), second.headers.get(sessionHeader)]).toEqual([id, id]);
    expect((await api.client.get(id)).turns).toBe(2);
  });

  test("two first calls at once find the same session", async () => {
    const id = `twins-${Date.now()}`;
    const answers = await Promise.all(
      [1, 2].map(() => ask(api.url, "/invocations", json({ prompt: "hello" }, { [sessionHeader]: id }))),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });

  test("a stream: entries with ids, deltas without, and an end", async () => {
    const init = json({ prompt: "stream" }, { accept: "text/event-stream" });
    const { headers, body } = await ask(api.url, "/invocations", init);
    expect(headers.get("content-type")).toContain("text/event-stream");
    expect(headers.get(sessionHeader)).toMatch(/^s_/);
    const events = String(body)
      .split("\n\n")
      .filter((event) => event.includes("data: "));
    // Words are sent at once, entries when they are on disk: the first entry need not be the first event.
    const [first] = events.filter((event) => event.startsWith("id: "));
    expect(first).toMatch(/^id: 2\ndata: \{"type":"entry","entry":\{.*"userMessage"/);
    expect(events.filter((event) => event.startsWith('data: {"type":"textDelta"'))).toHaveLength(200);
    expect(events.at(-1)).toBe('data: {"type":"end"}');
  });

  test("the same key is answered from the same run", async () => {
    const init = json({ prompt: "hello" }, { "idempotency-key": "invoke-once" });
    const first = await ask(api.url, "/invocations", init);
    const second = await ask(api.url, "/invocations", init);
    expect(second.body).toEqual(first.body);
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    const other = await ask(
      api.url,
      "/invocations",
      json({ prompt: "else" }, { "idempotency-key": "invoke-once" }),
    );
    expect(other).toMatchObject({ status: 409, body: errorOf("conflict") });
  });

  test.each([
    ["refused key", 502, "model_authentication"],
    ["too long", 502, "model_contextOverflow"],
  ])("a run that fails (%s) is answered with %i, and names the run", async (prompt, status, code) => {
    const answer = await ask(api.url, "/invocations", json({ prompt }));
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({
      error: {
        code: "run_failed",
        details: { code, runId: expect.any(String), sessionId: expect.any(String) },
      },
    });
    expect(answer.headers.get(sessionHeader)).toMatch(/^s_/);
  });

  test.each([
    ["{", 400, /line 1 column 2/],
    ['{"prompt": "a",}', 400, /line 1 column 15/],
    ["", 400, /missing/],
    ["[]", 400, /expected object/],
    ['{"promt": "hello"}', 400, /did you mean "prompt"/],
    ['{"prompt": ""}', 400, /prompt/],
    ['{"prompt": "   "}', 400, /empty/],
    ['{"prompt": 5}', 400, /prompt: expected text or a list/],
    ['{"prompt": "a", "agent": "testor"}', 404, /testor/],
    ['{"prompt": [{"type": "image", "mediaType": "image/png", "data": "%%%"}]}', 400, /prompt\[0\]\.data/],
    [
      '{"prompt": [{"type": "image", "mediaType": "image/png\\r\\nx: y", "data": ""}]}',
      400,
      /prompt\[0\]\.mediaType/,
    ],
  ])("%s is refused with %i", async (body, status, message) => {
    const init = { method: "POST", body, headers: { "content-type": "application/json" } };
    const answer = await ask(api.url, "/invocations", init);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ error: { message: expect.stringMatching(message) } });
  });

  test("a prompt of 20 MB gets a clear answer", async () => {
    const { status, body } = await ask(api.url, "/invocations", json({ prompt: "a".repeat(20_000_000) }));
    expect(status).toBe(413);
    expect(body).toMatchObject({
      error: {
        code: "too_large",
        message: expect.stringContaining("16 MiB"),
        hint: expect.stringContaining("files"),
      },
    });
  });

  test("a session id or key that cannot be one is refused", async () => {
    for (const [name, value] of [
      [sessionHeader, "../etc"],
      [sessionHeader, "x".repeat(257)],
      ["idempotency-key", "a b"],
      ["idempotency-key", "k".repeat(256)],
    ] as const) {
      const answer = await ask(api.url, "/invocations", json({ prompt: "hello" }, { [name]: value }));
      expect(answer, `${name}: ${value}`).toMatchObject({ status: 400, body: errorOf("invalid_input") });
    }
  });

  test("another agent than the session's is a conflict", async () => {
    await using two = await startApiServer(script, { agents: ["one", "two"] });
    const first = await ask(
      two.url,
      "/invocations",
      json({ prompt: "hello", agent: "one" }, { [sessionHeader]: "mine" }),
    );
    expect(first.status).toBe(200);
    const other = await ask(
      two.url,
      "/invocations",
      json({ prompt: "hello", agent: "two" }, { [sessionHeader]: "mine" }),
    );
    expect(other).toMatchObject({ status: 409, body: errorOf("conflict", /belongs to the agent "one"/) });
    const none = await ask(two.url, "/invocations", json({ prompt: "hello" }));
    expect(none).toMatchObject({ status: 400, body: { error: { hint: "Name one of: one, two." } } });
  });
});

test("GET /v1/agents", async () => {
  const { body } = await ask(api.url, "/v1/agents");
  const { agents } = agentListSchema.parse(body);
  expect(agents).toMatchObject([{ name: "tester", model: "test/scripted" }]);
  expect(agents[0]?.tools).toContain("shell");
});

describe("/v1/sessions", () => {
  test("create, read, list", async () => {
    const created = await ask(api.url, "/v1/sessions", json({ agent: "tester", title: "A title" }));
    expect(created.status).toBe(201);
    const session = sessionSchema.parse(created.body);
    expect(created.headers.get("location")).toBe(`/v1/sessions/${session.id}`);
    expect((await ask(api.url, `/v1/sessions/${session.id}`)).body).toEqual(session);
    const page = await ask(api.url, "/v1/sessions?limit=1");
    expect(page.body).toMatchObject({ sessions: [{ id: session.id }], next: expect.any(String) });
    expect((await ask(api.url, "/v1/sessions?status=running")).body).toMatchObject({ next: null });
  });

  test("pages follow each other by cursor, also for a client", async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, newSession));
    const seen: string[] = [];
    let path = "/v1/sessions?limit=2";
    for (let more = true; more; ) {
      const { status, body } = await ask(api.url, path);
      expect(status).toBe(200);
      const { sessions, next } = sessionListSchema.parse(body);
      seen.push(...sessions.map(({ id }) => id));
      more = next !== null;
      path = `/v1/sessions?limit=2&after=${next}`;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(ids));
    const [first, second] = await api.client.list({ limit: 2 });
    expect(first).toBeDefined();
    if (first !== undefined) expect(await api.client.list({ limit: 1, after: first })).toEqual([second]);
  });

  test("without a body, when only one agent is served", async () => {
    expect((await ask(api.url, "/v1/sessions", { method: "POST" })).status).toBe(201);
  });

  test("the same key finds the same session; with other content it is a conflict", async () => {
    const headers = { "idempotency-key": "create-once" };
    const first = await ask(api.url, "/v1/sessions", json({ agent: "tester" }, headers));
    const second = await ask(api.url, "/v1/sessions", json({ agent: "tester" }, headers));
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect(second.body).toEqual(first.body);
    const other = await ask(api.url, "/v1/sessions", json({ agent: "tester", title: "x" }, headers));
    expect(other).toMatchObject({ status: 409, body: errorOf("conflict") });
  });

  test.each([
    ["/v1/sessions", json({ agent: "testr" }), 404, /testr/],
    ["/v1/sessions", json({ agent: "tester", id: "../x" }), 400, /id: /],
    ["/v1/sessions", json({ agnt: "tester" }), 400, /did you mean "agent"/],
    ["/v1/sessions?limit=0", {}, 400, /limit/],
    ["/v1/sessions?after=yesterday", {}, 400, /after: "yesterday"/],
    ["/v1/sessions?limt=5", {}, 400, /did you mean "limit"/],
    ["/v1/sessions?status=busy", {}, 400, /status/],
    [unknownSession, {}, 404, /s_nothing/],
    [`${unknownSession}/events`, {}, 404, /s_nothing/],
    [`${unknownSession}/messages`, json({ prompt: "hello" }), 404, /s_nothing/],
    [`${unknownSession}/stop`, { method: "POST" }, 404, /s_nothing/],
    [`${unknownSession}/exec`, json({ command: "ls" }), 404, /s_nothing/],
    [`${unknownSession}/files/a`, {}, 404, /s_nothing/],
    [`${unknownSession}/files/a`, { method: "PUT", body: "x" }, 404, /s_nothing/],
    ["/v1/sessions/a%2Fb", {}, 400, /sessionId/],
  ])("%s is refused", async (path, init, status, message) => {
    const answer = await ask(api.url, path, init);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ error: { message: expect.stringMatching(message) } });
  });
});

describe("DELETE /v1/sessions/{sessionId}", () => {
  test("it is gone with its files; while it runs it is refused", async () => {
    const id = await newSession();
    const path = `/v1/sessions/${id}`;
    await ask(api.url, `${path}/exec`, json({ command: "echo x > file" }));
    await api.client.send(id, { blocks: [{ type: "text", text: "hang" }] });
    const refused = await ask(api.url, path, { method: "DELETE" });
    expect(refused).toMatchObject({ status: 409, body: { error: { code: "conflict" } } });
    expect(refused.body).toMatchObject({ error: { hint: expect.stringContaining("Stop it first") } });
    await api.client.stop(id);
    await expect.poll(async () => (await ask(api.url, path, { method: "DELETE" })).status).toBe(204);
    expect((await ask(api.url, path)).status).toBe(404);
    expect((await ask(api.url, path, { method: "DELETE" })).status).toBe(404);
    expect(existsSync(api.runtime.workspacePath(id))).toBe(false);
  });

  test("a reader of its events is told; its id is free", async () => {
    const id = await newSession();
    const events = await fetch(`${api.url}/v1/sessions/${id}/events`);
    await api.client.delete(id);
    expect(await events.text()).toContain('"code":"not_found"');
    expect((await api.client.create({ agent: "tester", id })).session.headSeq).toBe(1);
    await api.client.delete(id);
  });
});

describe("messages, events and stop", () => {
  test("202 with links that work", async () => {
    const id = await newSession();
    const { status, body } = await ask(api.url, `/v1/sessions/${id}/messages`, json({ prompt: "hello" }));
    expect(status).toBe(202);
    const { messageId, links } = body as { messageId: string; links: { run: string; session: string } };
    const run = await ask(api.url, links.run);
    expect(String(run.body)).toContain(messageId);
    expect(String(run.body).endsWith('data: {"type":"end"}\n\n')).toBe(true);
    expect((await ask(api.url, links.session)).body).toMatchObject({ id, lastRunEnd: "endTurn" });
  });

  test("a message with an image, a stream, and a key that is replayed", async () => {
    const id = await newSession();
    const prompt = [
      { type: "text", text: "hello" },
      { type: "image", mediaType: "image/png", data: pngImage(2, 2).toString("base64") },
    ];
    const init = json({ prompt }, { accept: "text/event-stream", "idempotency-key": "m1" });
    const first = await ask(api.url, `/v1/sessions/${id}/messages`, init);
    const second = await ask(api.url, `/v1/sessions/${id}/messages`, init);
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    const durable = (body: unknown) =>
      [...String(body).matchAll(/^id: \d+\ndata: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data));
    expect(durable(second.body)).toEqual(durable(first.body));
  });

  test("an image that no provider would take is refused, and said to be which", async () => {
    const id = await newSession();
    const good = { type: "image", mediaType: "image/png", data: pngImage(2, 2).toString("base64") };
    const bad = { type: "image", mediaType: "image/png", data: Buffer.from("BM......").toString("base64") };
    const { status, body } = await ask(
      api.url,
      `/v1/sessions/${id}/messages`,
      json({ prompt: [good, { type: "text", text: "compare" }, bad] }),
    );
    expect(status).toBe(400);
    expect(body).toEqual(errorOf("invalid_input", /^image 2 of the message is a BMP image/));
    expect(await api.runtime.sessions.get(id)).toMatchObject({ status: "idle", headSeq: 1 });
  });

  test("entries as pages, each as the schema says", async () => {
    const id = await newSession();
    await api.client.invoke({ prompt: "work" }, { sessionId: id });
    const seqs: number[] = [];
    let after: number | null = 0;
    while (after !== null) {
      const { body } = await ask(api.url, `/v1/sessions/${id}/events?format=json&limit=4&after=${after}`);
      const page = body as { entries: { seq: number }[]; nextAfter: number | null };
      for (const entry of page.entries) seqs.push(entrySchema.parse(entry).seq);
      after = page.nextAfter;
    }
    expect(seqs).toEqual((await api.runtime.sessions.entries(id)).map(({ seq }) => seq));
  });

  test("a cursor that is none, or of another session, is refused", async () => {
    const id = await newSession();
    const path = `/v1/sessions/${id}/events`;
    expect(await ask(api.url, `${path}?after=99`)).toMatchObject({
      status: 400,
      body: errorOf("invalid_input", /beyond the end/),
    });
    expect(await ask(api.url, `${path}?after=-1`)).toMatchObject({ status: 400 });
    expect(await ask(api.url, path, { headers: { "last-event-id": "abc" } })).toMatchObject({ status: 400 });
  });

  test("a message that the session does not have, or has before the cursor, is not waited for", async () => {
    const id = await newSession();
    const { messageId } = await api.client.send(id, { blocks: [{ type: "text", text: "hello" }] });
    const path = `/v1/sessions/${id}/events?message=`;
    expect(String((await ask(api.url, path + messageId)).body)).toContain('"runFinished"');
    const { headSeq } = await api.client.get(id);
    for (const url of [`${path}in_none`, `${path}${messageId}&after=${headSeq}`]) {
      expect(await ask(api.url, url)).toMatchObject({
        status: 404,
        body: errorOf("not_found", /has no message/),
      });
    }
    expect(
      (await ask(api.url, path + messageId, { headers: { "last-event-id": String(headSeq) } })).status,
    ).toBe(200);
  });

  test("stop ends a model request and a command; without a run it is said", async () => {
    const id = await newSession();
    expect((await ask(api.url, `/v1/sessions/${id}/stop`, { method: "POST" })).body).toEqual({
      stopped: false,
    });
    for (const text of ["hang", "sleep"]) {
      const { messageId } = await api.client.send(id, { blocks: [{ type: "text", text }] });
      await expect
        .poll(async () => (await api.runtime.sessions.entries(id)).at(-1)?.type)
        .toBe(text === "hang" ? "modelCalled" : "toolStarted");
      const stopped = await ask(api.url, `/v1/sessions/${id}/stop`, json({ reason: "enough" }));
      expect(stopped).toMatchObject({ status: 200, body: { stopped: true } });
      const run = await ask(api.url, `/v1/sessions/${id}/events?message=${messageId}`);
      expect(String(run.body)).toContain('"reason":"stopped"');
    }
  });
});

describe("exec", () => {
  test("JSON: output, exit code, input", async () => {
    const id = await newSession();
    const { status, body } = await ask(
      api.url,
      `/v1/sessions/${id}/exec`,
      json({ command: "cat; echo err >&2; exit 3", stdin: "héllo" }),
    );
    expect(status).toBe(200);
    expect(execAnswerSchema.parse(body)).toMatchObject({
      stdout: "héllo",
      stderr: "err\n",
      exitCode: 3,
      omittedBytes: 0,
    });
  });

  test("output is bounded in JSON and whole in a stream", async () => {
    const id = await newSession();
    const command = "head -c 3000000 /dev/zero | tr '\\0' 'ä' | head -c 3000000";
    const { body } = await ask(api.url, `/v1/sessions/${id}/exec`, json({ command }));
    expect(body).toMatchObject({ exitCode: 0, omittedBytes: 3_000_000 - 1024 * 1024 });
    const stream = await ask(
      api.url,
      `/v1/sessions/${id}/exec`,
      json({ command }, { accept: "text/event-stream" }),
    );
    const events = String(stream.body)
      .split("\n\n")
      .flatMap((event) => (event.startsWith("data: ") ? [JSON.parse(event.slice(6))] : []));
    expect(events[0]).toMatchObject({ type: "started" });
    expect(events.at(-1)).toMatchObject({ type: "exit", exitCode: 0 });
    const bytes = events.reduce((sum, event) => sum + Buffer.byteLength(event.text ?? ""), 0);
    expect(bytes).toBeGreaterThanOrEqual(3_000_000);
  });

  test("the same key does not start the command again", async () => {
    const id = await newSession();
    const init = json({ command: "echo x >> count; wc -l < count" }, { "idempotency-key": "exec-once" });
    const first = await ask(api.url, `/v1/sessions/${id}/exec`, init);
    const second = await ask(api.url, `/v1/sessions/${id}/exec`, init);
    expect(second.body).toMatchObject({ stdout: (first.body as { stdout: string }).stdout });
    expect((await ask(api.url, `/v1/sessions/${id}/files/count`)).body).toBe("x\n");
  });

  test("hanging up lets it go on; with killOnDisconnect it ends", async () => {
    const id = await newSession();
    for (const [killOnDisconnect, file] of [
      [false, "went-on"],
      [true, "was-ended"],
    ] as const) {
      const hangUp = new AbortController();
      const command = `echo begun; sleep 0.4; echo x > ${file}`;
      const init = json({ command, killOnDisconnect }, { accept: "text/event-stream" });
      const response = await fetch(`${api.url}/v1/sessions/${id}/exec`, { ...init, signal: hangUp.signal });
      await response.body?.getReader().read();
      hangUp.abort();
    }
    await expect
      .poll(async () => (await ask(api.url, `/v1/sessions/${id}/files/went-on`)).status, { timeout: 5000 })
      .toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await ask(api.url, `/v1/sessions/${id}/files/was-ended`)).status).toBe(404);
  });

  test("DELETE ends it, and an unknown one is 404", async () => {
    const id = await newSession();
    const execution = await api.client.exec(id, { command: "echo begun; sleep 600" });
    const first = await execution.output[Symbol.asyncIterator]().next();
    expect(Buffer.from(first.value?.bytes ?? []).toString()).toBe("begun\n");
    await execution.kill();
    const missing = await ask(api.url, `/v1/sessions/${id}/exec/op_nothing`, { method: "DELETE" });
    expect(missing).toMatchObject({ status: 404, body: errorOf("not_found") });
    await execution[Symbol.asyncDispose]();
  });

  test.each([
    [{}, /command: missing/],
    [{ command: "" }, /command/],
    [{ command: "ls", timeout: 5 }, /did you mean "timeoutMs"/],
    [{ command: "ls", timeoutMs: -5 }, /timeoutMs/],
  ])("%o is refused", async (body, message) => {
    const answer = await ask(api.url, `/v1/sessions/${await newSession()}/exec`, json(body));
    expect(answer).toMatchObject({ status: 400, body: errorOf("invalid_input", message) });
  });
});

describe("files", () => {
  test("write, read, list, replace, delete", async () => {
    const base = `/v1/sessions/${await newSession()}/files`;
    const created = await ask(api.url, `${base}/data/a%20b.csv`, { method: "PUT", body: "x,y\n1,2\n" });
    expect(created).toMatchObject({ status: 201, body: { path: "data/a b.csv", size: 8, created: true } });
    const read = await ask(api.url, `${base}/data/a%20b.csv`);
    expect(read.body).toBe("x,y\n1,2\n");
    expect(read.headers.get("content-length")).toBe("8");
    expect(read.headers.get("content-security-policy")).toContain("sandbox");
    expect((await ask(api.url, `${base}/data`)).body).toEqual({
      path: "data",
      entries: [{ name: "a b.csv", type: "file", size: 8 }],
    });
    for (const root of ["", "/"]) {
      expect((await ask(api.url, `${base}${root}`)).body).toMatchObject({
        entries: [{ name: "data", type: "directory" }],
      });
    }
    expect((await ask(api.url, `${base}/data/a%20b.csv`, { method: "PUT", body: "" })).status).toBe(200);
    expect((await ask(api.url, `${base}/data/a%20b.csv`)).body).toBe("");
    expect((await ask(api.url, `${base}/data?recursive=true`, { method: "DELETE" })).status).toBe(204);
    expect((await ask(api.url, `${base}/data`)).status).toBe(404);
  });

  test("what is no file has no content", async () => {
    const id = await newSession();
    await ask(api.url, `/v1/sessions/${id}/exec`, json({ command: "mkfifo pipe; ln -s pipe link" }));
    for (const name of ["pipe", "link"]) {
      const answer = await ask(api.url, `/v1/sessions/${id}/files/${name}`);
      expect(answer).toMatchObject({ status: 400, body: errorOf("invalid_input", /neither a file/) });
    }
  });

  test("40 MB go through without being held in memory", async () => {
    const id = await newSession();
    const size = 40_000_000;
    let left = size;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left <= 0) return controller.close();
        controller.enqueue(new Uint8Array(Math.min(1_000_000, left)).fill(left / 1_000_000));
        left -= 1_000_000;
      },
    });
    expect(await api.client.files.write(id, "big.bin", body)).toMatchObject({ size });
    let received = 0;
    for await (const chunk of await api.client.files.read(id, "big.bin")) received += chunk.length;
    expect(received).toBe(size);
    const { body: sum } = await ask(
      api.url,
      `/v1/sessions/${id}/exec`,
      json({ command: "wc -c < big.bin; tail -c 1 big.bin | od -An -tu1" }),
    );
    expect((sum as { stdout: string }).stdout.split(/\s+/).filter(Boolean)).toEqual([String(size), "1"]);
  });

  test("more than 100 MiB is refused, and nothing is written", async () => {
    const id = await newSession();
    const status = await new Promise((resolve, reject) => {
      const put = rawRequest(`${api.url}/v1/sessions/${id}/files/huge`, {
        method: "PUT",
        headers: { "content-length": String(101 * 2 ** 20) },
      });
      put.on("response", (response) => resolve(response.resume().statusCode));
      put.on("error", reject);
      put.write("x");
    });
    expect(status).toBe(413);
    expect((await ask(api.url, `/v1/sessions/${id}/files/huge`)).status).toBe(404);
  });

  test("an upload that breaks off leaves the old file", async () => {
    const id = await newSession();
    await api.client.files.write(id, "kept", new TextEncoder().encode("old"));
    await new Promise<void>((resolve) => {
      const put = rawRequest(`${api.url}/v1/sessions/${id}/files/kept`, {
        method: "PUT",
        headers: { "content-length": "1000" },
      });
      put.on("error", () => resolve());
      put.write("new", () => setTimeout(() => put.destroy(new Error("gone")), 50));
    });
    expect((await ask(api.url, `/v1/sessions/${id}/files/kept`)).body).toBe("old");
  });

  test.each(["..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "a%2F..%2F..%2F..%2Fetc%2Fpasswd"])(
    "%s is not readable",
    async (path) => {
      const { status, body } = await ask(api.url, `/v1/sessions/${await newSession()}/files/${path}`);
      expect([403, 404]).toContain(status);
      expect(JSON.stringify(body)).not.toContain("root:");
    },
  );

  test("a path that names no file is refused", async () => {
    const base = `/v1/sessions/${await newSession()}/files`;
    for (const path of ["", "/", "/dir/"]) {
      expect((await ask(api.url, `${base}${path}`, { method: "PUT", body: "x" })).status, path).toBe(400);
    }
  });
});

describe("every route", () => {
  test("is in the OpenAPI document, which is valid", async () => {
    const { body } = await ask(api.url, "/openapi.json");
    expect(await new Validator().validate(body as { openapi: string })).toEqual({ valid: true });
    const { paths } = body as { paths: Record<string, object> };
    for (const path of [
      "/ping",
      "/invocations",
      "/v1/agents",
      "/v1/sessions",
      "/v1/sessions/{sessionId}",
      "/v1/sessions/{sessionId}/messages",
      "/v1/sessions/{sessionId}/events",
      "/v1/sessions/{sessionId}/stop",
      "/v1/sessions/{sessionId}/exec",
      "/v1/sessions/{sessionId}/files/{path}",
    ]) {
      expect(paths).toHaveProperty([path]);
    }
    for (const [path, operations] of Object.entries(paths)) {
      const concrete = path
        .replace("{sessionId}", "s_nothing")
        .replace("{operationId}", "op")
        .replace("{path}", "a");
      const refused = await ask(api.url, concrete, { method: "PATCH" });
      expect(refused, path).toMatchObject({ status: 405, body: errorOf("method_not_allowed") });
      const allowed = Object.keys(operations).map((method) => method.toUpperCase());
      expect(refused.headers.get("allow")?.split(", "), path).toEqual(allowed);
    }
  });

  test("answers an unknown path with 404 in the one shape, and carries the security headers", async () => {
    const { status, headers, body } = await ask(api.url, "/v2/nothing");
    expect({ status, body }).toMatchObject({ status: 404, body: errorOf("not_found", /\/v2\/nothing/) });
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("cache-control")).toBe("no-store");
  });

  test("takes JSON only", async () => {
    const init = {
      method: "POST",
      body: "prompt=hello",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    };
    expect(await ask(api.url, "/invocations", init)).toMatchObject({
      status: 415,
      body: errorOf("unsupported_media_type"),
    });
  });

  test("tells nothing of an unexpected failure but an id", async () => {
    const logged: string[] = [];
    const sessions = {
      ...api.runtime.sessions,
      list: async () => {
        throw new Error("password=hunter2");
      },
    };
    const app = createApp({ sessions, agents: api.runtime.agents, onDefect: (_, id) => logged.push(id) });
    const response = await app.request("/v1/sessions");
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(text).not.toContain("hunter2");
    expect(JSON.parse(text)).toMatchObject({ error: { code: "internal", details: { errorId: logged[0] } } });
  });
});

describe("who may call", () => {
  test("with tokens: nobody without one, except /ping", async () => {
    await using guarded = await startApiServer(script, { auth: { tokens: [{ hash: hashToken("right") }] } });
    expect((await ask(guarded.url, "/ping")).status).toBe(200);
    expect(await ask(guarded.url, "/v1/agents")).toMatchObject({
      status: 401,
      body: errorOf("unauthorized"),
    });
    expect((await ask(guarded.url, "/openapi.json")).status).toBe(401);
    await expect(createClient({ url: guarded.url, token: "wrong" }).agents()).rejects.toMatchObject({
      code: "unauthorized",
    });
    expect(await createClient({ url: guarded.url, token: "right" }).agents()).toHaveLength(1);
  });

  test("a web page of another site is kept out, and so is a name that was made to point here", async () => {
    const origin = { headers: { origin: "https://attacker.example" } };
    expect(await ask(api.url, "/v1/sessions", { method: "POST", ...origin })).toMatchObject({ status: 403 });
    const port = Number(new URL(api.url).port);
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(port, "127.0.0.1", () =>
        socket.write(
          "GET /v1/sessions HTTP/1.1\r\nHost: rebound.attacker.example\r\nConnection: close\r\n\r\n",
        ),
      );
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("close", () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer).toContain("rebound.attacker.example");
  });

  test("a page that is allowed may call, and reads the headers that it needs", async () => {
    const origin = "https://console.example";
    await using opened = await startApiServer(script, { allowedOrigins: [origin] });
    const preflight = await ask(opened.url, "/v1/sessions", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(204);
    const answer = await ask(opened.url, "/v1/agents", { headers: { origin } });
    expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
    expect(answer.headers.get("access-control-expose-headers")).toContain("Session-Id");
  });

  test("without tokens it does not listen to others", async () => {
    const app = createApp({ sessions: api.runtime.sessions, agents: api.runtime.agents });
    await expect(serve(app, { host: "0.0.0.0", port: 0 })).rejects.toMatchObject({
      code: "invalid_config",
      message: expect.stringContaining("without authentication"),
    });
    const taken = Number(new URL(api.url).port);
    await expect(serve(app, { port: taken })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("in use"),
    });
  });
});

describe("the client", () => {
  test("has the methods of Sessions, and errors as they were", async () => {
    const { session, created } = await api.client.create({
      agent: "tester",
      idempotencyKey: "client-create",
    });
    expect(created).toBe(true);
    expect(await api.client.create({ agent: "tester", idempotencyKey: "client-create" })).toMatchObject({
      created: false,
    });
    expect(await api.client.get(session.id)).toEqual(session);
    expect((await api.client.list({ limit: 1 }))[0]?.id).toBe(session.id);
    await expect(api.client.get("s_nothing")).rejects.toMatchObject({
      code: "not_found",
      hint: expect.any(String),
    });
    await expect(api.client.create({ agent: "testr" })).rejects.toMatchObject({
      code: "not_found",
      hint: 'Did you mean "tester"?',
    });
    const execution = await api.client.exec(session.id, { command: "echo out; exit 2" });
    let out = "";
    for await (const { bytes } of execution.output) out += Buffer.from(bytes);
    expect([out, (await execution.result).exitCode]).toEqual(["out\n", 2]);
  });

  test("says that nobody is there", async () => {
    const client = createClient({ url: "http://127.0.0.1:9", retryMs: 1 });
    await expect(client.agents()).rejects.toMatchObject({
      code: "unavailable",
      hint: "Start one with: holdfast start",
    });
  });
});
