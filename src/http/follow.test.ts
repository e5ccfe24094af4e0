import { expect, test } from "vitest";
import type { RunEvent } from "../run/session/events.ts";
import { createClient } from "./client.ts";

/** A server that gives the answers in turn, then none. */
function serverThatLeaves(...answers: readonly string[]): typeof fetch {
  const left = [...answers];
  return async () => {
    const answer = left.shift();
    if (answer === undefined) throw new TypeError("fetch failed", { cause: new Error("refused") });
    return new Response(answer);
  };
}

const options = { url: "http://server.test", retryMs: 1, patienceMs: 1_500 };

async function follow(fetch: typeof globalThis.fetch): Promise<{ events: RunEvent[]; error: unknown }> {
  const events: RunEvent[] = [];
  const watching = createClient({ ...options, fetch }).watch("s1", { signal: AbortSignal.timeout(10_000) });
  try {
    for await (const event of watching) events.push(event);
    return { events, error: undefined };
  } catch (error) {
    return { events, error };
  }
}

test("a server that has gone is waited for, told of twice, and given up with the way back", async () => {
  const { events, error } = await follow(serverThatLeaves('data: {"type":"textDelta","text":"a"}\n\n'));
  expect(events).toMatchObject([
    { type: "textDelta" },
    { code: "reconnecting", message: expect.stringContaining("was cut; trying again") },
    { code: "reconnecting", message: expect.stringContaining("has not answered for") },
  ]);
  expect(error).toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(
      /^the server at http:\/\/server\.test has not answered for \d+ s; what runs/,
    ),
    hint: "Come back to it with: holdfast sessions tail s1 --url http://server.test",
  });
});

test("a server that comes back in time ends the waiting", async () => {
  const { events, error } = await follow(serverThatLeaves("", "", 'data: {"type":"end"}\n\n'));
  expect(error).toBeUndefined();
  expect(events).toMatchObject([{ code: "reconnecting" }]);
});

test("a server that shuts down is told as that, with the way back", async () => {
  const closing = 'data: {"type":"notice","code":"serverCloses","message":"the server shuts down"}\n\n';
  const { events, error } = await follow(serverThatLeaves(closing, 'data: {"type":"end"}\n\n'));
  expect(error).toBeUndefined();
  expect(events).toMatchObject([
    { code: "serverCloses" },
    {
      code: "reconnecting",
      message: "trying to come back; or later: holdfast sessions tail s1 --url http://server.test",
    },
  ]);
});
