import { expect, test } from "vitest";
import type { Script } from "../../src/testing/testing.ts";
import { startApiServer } from "./api-server.ts";

/** Forks, moves, trees and comparisons over HTTP: by hand, and by the client. */

const script: Script = { turns: [{ times: "any", text: "You said {{user}}." }] };

async function startWithSession() {
  const api = await startApiServer(script);
  const { client } = api;
  const { session } = await client.create({ agent: "tester" });
  for (const prompt of ["one", "two"]) {
    await client.invoke({ prompt }, { sessionId: session.id });
  }
  const post = (path: string, body: unknown, key?: string) =>
    fetch(`${api.url}/v1/sessions/${session.id}/${path}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(key === undefined ? {} : { "idempotency-key": key }),
      },
      body: JSON.stringify(body),
    });
  return { api, client, id: session.id, post };
}

test("a fork is created, and the same again for its key", async () => {
  const { api, client, id, post } = await startWithSession();
  await using _ = api;
  const body = { at: "~1", title: "Again", message: { prompt: "three" } };
  const [first, second] = [await post("fork", body, "k"), await post("fork", body, "k")];
  expect([first.status, second.status]).toEqual([201, 200]);
  expect(second.headers.get("idempotency-replayed")).toBe("true");
  const forked = (await first.json()) as { session: { id: string }; messageId: string };
  expect(first.headers.get("location")).toBe(`/v1/sessions/${forked.session.id}`);
  expect(await second.json()).toMatchObject({
    session: { id: forked.session.id },
    messageId: forked.messageId,
  });
  expect((await post("fork", { at: "#2" }, "k")).status).toBe(409);
  expect((await post("fork", { at: "#999" })).status).toBe(404);
  expect((await post("fork", { where: "#2" })).status).toBe(400);
  const forks = await client.list({ forkOf: id });
  expect(forks).toMatchObject([{ id: forked.session.id, title: "Again", forkedFrom: { sessionId: id } }]);
  expect(api.defects).toEqual([]);
});

test("a session is moved back, and its tree and a comparison show both ways", async () => {
  const { api, client, id, post } = await startWithSession();
  await using _ = api;
  const { session: fork } = await client.fork(id);
  const moved = await post("rewind", { to: "~1", actor: "ada" }, "k");
  expect(moved.status).toBe(200);
  expect(await (await post("rewind", { to: "~1", actor: "ada" }, "k")).json()).toEqual(await moved.json());
  expect((await post("rewind", {})).status).toBe(400);
  await client.invoke({ prompt: "three" }, { sessionId: id });

  const tree = await client.tree(id);
  expect(tree.branches.map(({ isHead, messages }) => [isHead, messages])).toEqual([
    [false, 2],
    [true, 1],
  ]);
  expect((await client.tree(id, { limit: 1 })).branches.flatMap(({ points }) => points)).toHaveLength(1);
  const compared = await client.compare(id, fork.id);
  expect(compared.one.messages.map(({ text }) => text)).toEqual(["three", "You said three."]);
  expect(compared.other.messages.map(({ text }) => text)).toEqual(["two", "You said two."]);
  expect(compared.common).toEqual(tree.branches[1]?.from);
  const back = await client.rewind(id, { to: tree.branches[0]?.last.entryId ?? "" });
  expect(back.session.status).toBe("idle");
  await expect(client.compare(id, "unknown")).rejects.toMatchObject({ code: "not_found" });
  const entries = await client.entries(id);
  expect(entries.filter(({ type }) => type === "headMoved")).toMatchObject([{ actor: "ada" }, {}]);
  expect(api.defects).toEqual([]);
});
