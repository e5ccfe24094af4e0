import { setTimeout as sleep } from "node:timers/promises";
import { createParser } from "eventsource-parser";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApp } from "../../src/http/app.ts";
import type { WireEvent } from "../../src/http/encode.ts";
import { serve } from "../../src/http/server.ts";
import type { Entry } from "../../src/log/entry.ts";
import type { Sessions } from "../../src/run/session/sessions.ts";
import { type ApiServer, json, script, startApiServer } from "./api-server.ts";

/** Disconnect is not cancel: readers come and go, the run does not notice, and nobody misses or repeats an entry. */

const sessionHeader = "x-amzn-bedrock-agentcore-runtime-session-id";

let api: ApiServer;
beforeAll(async () => {
  api = await startApiServer(script, { heartbeatMs: 20 });
});
afterAll(async () => {
  expect(api.defects).toEqual([]);
  await api[Symbol.asyncDispose]();
});

/** Where a reader is: its cursor, and what it has seen so far. */
interface Reader {
  readonly entries: Entry[];
  cursor: number;
  ended: boolean;
  connections: number;
}

/** Reads with plain `fetch` until about `bytes` have come, then hangs up: in the middle of an event, if it so happens. */
async function readSome(url: string, reader: Reader, bytes: number): Promise<void> {
  const hangUp = new AbortController();
  const response = await fetch(url, {
    headers: { accept: "text/event-stream", "last-event-id": String(reader.cursor) },
    signal: hangUp.signal,
  });
  expect(response.status).toBe(200);
  reader.connections += 1;
  const parser = createParser({
    onEvent({ id, data }) {
      const event = JSON.parse(data) as WireEvent;
      if (event.type === "end") reader.ended = true;
      if (event.type !== "entry") return expect(id, "deltas have no id").toBeUndefined();
      expect(id).toBe(String(event.entry.seq));
      reader.entries.push(event.entry);
      reader.cursor = event.entry.seq;
    },
  });
  let left = bytes;
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    parser.feed(decoder.decode(chunk.subarray(0, Math.max(0, left)), { stream: true }));
    left -= chunk.length;
    if (left <= 0) break;
  }
  hangUp.abort();
}

function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("a reader that disconnects at random points and comes back with its cursor", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("sees each entry exactly once (seed %i)", async (seed) => {
    const random = randomFrom(seed * 7919);
    const { session } = await api.client.create({ agent: "tester" });
    const { messageId } = await api.client.send(session.id, { blocks: [{ type: "text", text: "work" }] });
    const url = `${api.url}/v1/sessions/${session.id}/events?after=0&message=${messageId}`;
    const reader: Reader = { entries: [], cursor: 0, ended: false, connections: 0 };
    while (!reader.ended) {
      await readSome(url, reader, Math.floor(random() ** 2 * 4000) + 1);
      await sleep(random() * 30);
    }

    const log = await api.runtime.sessions.entries(session.id);
    expect(reader.entries).toEqual(log);
    expect(reader.connections).toBeGreaterThan(2);
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, i) => i + 1));
    expect(log.at(-1)).toMatchObject({ type: "runFinished", reason: "endTurn" });
  });

  test("the run with it is the run without it", async () => {
    const watched = await api.client.create({ agent: "tester" });
    const alone = await api.client.create({ agent: "tester" });
    const blocks = [{ type: "text", text: "work" }] as const;
    const { messageId } = await api.client.send(watched.session.id, { blocks });
    await api.client.send(alone.session.id, { blocks });
    const url = `${api.url}/v1/sessions/${watched.session.id}/events?message=${messageId}`;
    const reader: Reader = { entries: [], cursor: 0, ended: false, connections: 0 };
    while (!reader.ended) await readSome(url, reader, 1500);
    await api.runtime.idle();
    const shape = async (id: string) =>
      (await api.runtime.sessions.entries(id)).map(({ type }) => type).sort();
    expect(await shape(watched.session.id)).toEqual(await shape(alone.session.id));
  });
});

test("a reader that hangs up at once, many times, leaves nothing behind and changes nothing", async () => {
  const { session } = await api.client.create({ agent: "tester" });
  const { messageId } = await api.client.send(session.id, { blocks: [{ type: "text", text: "stream" }] });
  const url = `${api.url}/v1/sessions/${session.id}/events`;
  await Promise.all(
    Array.from({ length: 30 }, () =>
      readSome(url, { entries: [], cursor: 0, ended: false, connections: 0 }, 1),
    ),
  );
  const types: string[] = [];
  for await (const event of api.client.watchRun(session.id, messageId, {
    signal: AbortSignal.timeout(20_000),
  })) {
    if (event.type === "entry") types.push(event.entry.type);
  }
  expect(types.at(-1)).toBe("runFinished");
});

test("hanging up on POST messages and on POST invocations does not stop the run; stop does", async () => {
  const { session } = await api.client.create({ agent: "tester" });
  const hangUp = new AbortController();
  const accept = { accept: "text/event-stream" };
  const response = await fetch(`${api.url}/v1/sessions/${session.id}/messages`, {
    ...json({ prompt: "work" }, accept),
    signal: hangUp.signal,
  });
  await response.body?.getReader().read();
  hangUp.abort();
  await expect
    .poll(async () => (await api.client.get(session.id)).lastRunEnd, { timeout: 10_000 })
    .toBe("endTurn");

  const leaving = new AbortController();
  const invocation = api.client.invoke({ prompt: "hang" }, { sessionId: session.id, signal: leaving.signal });
  await expect.poll(async () => (await api.client.get(session.id)).status).toBe("running");
  leaving.abort();
  await expect(invocation).rejects.toMatchObject({ code: "cancelled" });
  await sleep(50);
  expect((await api.client.get(session.id)).status).toBe("running");
  expect(await api.client.stop(session.id, "enough")).toEqual({ stopped: true });
  expect(await api.client.get(session.id)).toMatchObject({ status: "idle", lastRunEnd: "stopped" });
});

test("a reader that is slow gets every entry", async () => {
  const { session } = await api.client.create({ agent: "tester" });
  const { messageId } = await api.client.send(session.id, { blocks: [{ type: "text", text: "work" }] });
  const seqs: number[] = [];
  for await (const event of api.client.watchRun(session.id, messageId, {
    signal: AbortSignal.timeout(30_000),
  })) {
    if (event.type === "entry") seqs.push(event.entry.seq);
    await sleep(2);
  }
  expect(seqs).toEqual(seqs.map((_, i) => i + 1));
});

test("an idle stream is kept alive by comments", async () => {
  const { session } = await api.client.create({ agent: "tester" });
  const response = await fetch(`${api.url}/v1/sessions/${session.id}/events`);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes(":") || text.split(": \n\n").length < 4) text += (await reader?.read())?.value ?? "";
  expect(text.startsWith("retry: 1000\n\n")).toBe(true);
  await reader?.cancel();
});

test("the server is restarted twice under a reader of the client: each entry once, and it is told", async () => {
  await using restarted = await startApiServer(script);
  const { sessions, agents } = restarted.runtime;
  const port = Number(new URL(restarted.url).port);
  const { session } = await restarted.client.create({ agent: "tester" });
  const { messageId } = await restarted.client.send(session.id, { blocks: [{ type: "text", text: "work" }] });
  const entries: Entry[] = [];
  const notices: string[] = [];
  const watching = (async () => {
    const signal = AbortSignal.timeout(20_000);
    for await (const event of restarted.client.watchRun(session.id, messageId, { signal })) {
      if (event.type === "entry") entries.push(event.entry);
      if (event.type === "notice") notices.push(event.code);
    }
  })();

  let server = restarted.server;
  for (const restart of [1, 2]) {
    await expect.poll(() => entries.length).toBeGreaterThan(restart * 2);
    const started = performance.now();
    await server.close();
    expect(performance.now() - started).toBeLessThan(400);
    server = await serve(createApp({ sessions, agents }), { port });
  }
  await watching;
  await server.close();
  expect(entries).toEqual(await sessions.entries(session.id));
  expect(entries.at(-1)).toMatchObject({ type: "runFinished", reason: "endTurn" });
  expect(notices.length).toBeGreaterThanOrEqual(1);
  expect(new Set(notices)).toEqual(new Set(["serverCloses", "reconnecting"]));
});

test("a caller who waits for JSON when the server closes is told how to go on, and closing is quick", async () => {
  const closing = await startApiServer(script);
  const { session } = await closing.client.create({ agent: "tester" });
  const waiting = fetch(
    `${closing.url}/invocations`,
    json({ prompt: "hang" }, { [sessionHeader]: session.id }),
  );
  await expect.poll(async () => (await closing.runtime.sessions.get(session.id)).status).toBe("running");
  const started = performance.now();
  await closing.server.close();
  expect(performance.now() - started).toBeLessThan(400);
  const response = await waiting;
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).toBe("5");
  expect(await response.json()).toMatchObject({
    error: { code: "unavailable", details: { sessionId: session.id } },
  });
  await closing[Symbol.asyncDispose]();
});

test("HEAD on a stream leaves no watcher behind", async () => {
  const { session } = await api.client.create({ agent: "tester" });
  let watchers = 0;
  const sessions: Sessions = {
    ...api.runtime.sessions,
    watch(id, options) {
      watchers += 1;
      options.signal.addEventListener("abort", () => {
        watchers -= 1;
      });
      return api.runtime.sessions.watch(id, options);
    },
  };
  const app = createApp({ sessions, agents: api.runtime.agents });
  const response = await app.request(`/v1/sessions/${session.id}/events`, { method: "HEAD" });
  expect([response.status, watchers]).toEqual([200, 0]);
});
