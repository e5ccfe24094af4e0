import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { HTTPException } from "hono/http-exception";
import { describe, expect, test } from "vitest";
import { readJson as read, receiveUpload } from "./body.ts";
import { createBodyBudget } from "./body-budget.ts";

const readJson = (request: Request, limit: number, budget = createBodyBudget(2 ** 30)) =>
  read(request, limit, budget);

function post(
  body: string | Uint8Array | ReadableStream<Uint8Array> | null,
  headers: Record<string, string> = {},
): Request {
  return new Request("http://localhost/", {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
    duplex: "half",
  });
}

function bytes(count: number, size = 64 * 1024): ReadableStream<Uint8Array> {
  let left = count;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close();
      controller.enqueue(new Uint8Array(Math.min(size, left)).fill(7));
      left -= size;
    },
  });
}

describe("readJson", () => {
  test("reads JSON, and nothing as undefined", async () => {
    expect(await readJson(post('{"a":[1]}'), 100)).toEqual({ a: [1] });
    expect(await readJson(post(null), 100)).toBeUndefined();
  });

  test.each([
    ['{"a":1,}', /line 1 column 7/],
    ['{\n  "a": tru\n}', /line 2 column 8/],
    ['{"a":', /line 1 column 6.*the body ends/],
    ["hello", /line 1 column 1/],
    ['{"a":1} x', /line 1 column 9/],
  ])("%j is refused with the place of the mistake", async (text, expected) => {
    await expect(readJson(post(text), 100)).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(expected),
    });
  });

  test("large bodies share a budget: one too many is told to come again, a small one is not", async () => {
    const budget = createBodyBudget(2 ** 20);
    const text = JSON.stringify("x".repeat(800_000));
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const slow = readJson(post(readable), 2 ** 24, budget);
    await writer.write(Buffer.from(text.slice(0, 700_000)));

    for (const headers of [{}, { "content-length": String(text.length) }]) {
      const refused = await readJson(post(text, headers), 2 ** 24, budget).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(HTTPException);
      const response = (refused as HTTPException).getResponse();
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    }
    expect(await readJson(post('{"a":1}'), 2 ** 24, budget)).toEqual({ a: 1 });

    await writer.write(Buffer.from(text.slice(700_000)));
    await writer.close();
    expect(await slow).toHaveLength(800_000);
    expect(await readJson(post(text), 2 ** 24, budget)).toHaveLength(800_000);
  });

  test("what was refused or broke off gives its part of the budget back", async () => {
    const budget = createBodyBudget(2 ** 20);
    for (let i = 0; i < 3; i++) {
      const text = `${"1".repeat(900_000)},`;
      await expect(readJson(post(text), 2 ** 24, budget)).rejects.toMatchObject({ code: "invalid_input" });
    }
  });

  test("bytes that are not UTF-8 are refused", async () => {
    await expect(readJson(post(new Uint8Array([0x22, 0xff, 0x22])), 100)).rejects.toThrow("not valid UTF-8");
  });

  test("another media type is refused with 415, JSON of any kind is not", async () => {
    await expect(readJson(post("a=1", { "content-type": "text/plain" }), 100)).rejects.toMatchObject({
      status: 415,
    });
    expect(await readJson(post("1", { "content-type": "application/vnd.x+json; charset=utf-8" }), 100)).toBe(
      1,
    );
  });

  test("too much is refused, announced or not", async () => {
    const expected = { code: "too_large", details: { limitBytes: 1024 * 1024 } };
    await expect(readJson(post(bytes(2 ** 21)), 2 ** 20)).rejects.toMatchObject(expected);
    await expect(readJson(post("1", { "content-length": "9999999" }), 2 ** 20)).rejects.toMatchObject(
      expected,
    );
  });
});

describe("receiveUpload", () => {
  const dir = tmpdir();

  test("keeps the bytes on disk under no name, and hands them out in pieces", async () => {
    await using upload = await receiveUpload(post(bytes(200_000)), { dir, limit: 2 ** 20 });
    expect(upload.size).toBe(200_000);
    expect((await readdir(dir)).filter((name) => name.startsWith("holdfast-upload"))).toEqual([]);
    const sizes: number[] = [];
    for await (const piece of upload.pieces(90_000)) {
      sizes.push(piece.length);
      expect(piece.every((byte) => byte === 7)).toBe(true);
    }
    expect(sizes).toEqual([90_000, 90_000, 20_000]);
  });

  test("an empty body is one empty piece", async () => {
    await using upload = await receiveUpload(post(null), { dir, limit: 10 });
    const sizes: number[] = [];
    for await (const { length } of upload.pieces(10)) sizes.push(length);
    expect(sizes).toEqual([0]);
  });

  test("too much is refused", async () => {
    await expect(receiveUpload(post(bytes(2 ** 21)), { dir, limit: 2 ** 20 })).rejects.toMatchObject({
      code: "too_large",
    });
  });
});
