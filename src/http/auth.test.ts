import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { hashToken, isLoopbackHost, refuseForeignPages, requireBearer } from "./auth.ts";
import { responseOf } from "./errors.ts";
import type { Call } from "./route.ts";

function appWith(middleware: ReturnType<typeof requireBearer>): Hono {
  const app = new Hono();
  app.use(middleware);
  app.get("/", (c) => c.text("in"));
  app.onError((error) => responseOf(error, () => {}));
  return app;
}

async function statusFor(app: Hono, headers: Record<string, string>): Promise<number> {
  return (await app.request("/", { headers })).status;
}

describe("requireBearer", () => {
  const app = appWith(
    requireBearer({ tokens: [{ hash: hashToken("first") }, { hash: hashToken("second") }] }),
  );

  test.each([
    ["Bearer first", 200],
    ["bearer second", 200],
    ["Bearer third", 401],
    ["Bearer ", 401],
    ["Basic first", 401],
    [`Bearer ${hashToken("first")}`, 401],
  ])("%s is answered with %i", async (authorization, status) => {
    expect(await statusFor(app, { authorization })).toBe(status);
  });

  test("without a token: 401 that says how", async () => {
    const response = await app.request("/");
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect(await response.json()).toMatchObject({
      error: { code: "unauthorized", hint: expect.any(String) },
    });
  });

  test("a configuration without a usable token is refused", () => {
    expect(() => requireBearer({ tokens: [] })).toThrow("no token");
    expect(() => requireBearer({ tokens: [{ hash: "secret" }] })).toThrow("not a SHA-256");
  });
});

test("whose a token is goes with the request", async () => {
  const app = appWith(
    requireBearer({
      tokens: [{ hash: hashToken("ours") }, { hash: hashToken("hers"), tenant: "acme", actor: "ada" }],
    }),
  );
  app.get("/who", (c) => {
    const variables = c as unknown as Call;
    return c.json([variables.get("tenant"), variables.get("actor") ?? null]);
  });
  const who = async (token: string) =>
    (await app.request("/who", { headers: { authorization: `Bearer ${token}` } })).json();
  expect(await who("ours")).toEqual(["default", null]);
  expect(await who("hers")).toEqual(["acme", "ada"]);
});

describe("refuseForeignPages", () => {
  const local = appWith(
    refuseForeignPages({ loopbackOnly: true, allowedOrigins: ["https://console.example"] }),
  );
  const open = appWith(refuseForeignPages({ loopbackOnly: false, allowedOrigins: [] }));

  test.each([
    [{ host: "localhost:8080" }, 200],
    [{ host: "127.0.0.1" }, 200],
    [{ host: "[::1]:8080" }, 200],
    [{ host: "agent.localhost:8080" }, 200],
    [{ host: "attacker.example:8080" }, 403],
    [{ host: "127.0.0.1.attacker.example" }, 403],
    [{ host: "localhost.attacker.example" }, 403],
    [{ host: "localhost:8080", origin: "http://localhost:8080" }, 200],
    [{ host: "localhost:8080", origin: "http://localhost:3000" }, 403],
    [{ host: "localhost:8080", origin: "https://attacker.example" }, 403],
    [{ host: "localhost:8080", origin: "null" }, 403],
    [{ host: "localhost:8080", origin: "https://console.example" }, 200],
    [{ host: "localhost:8080", "sec-fetch-site": "cross-site" }, 403],
    [{ host: "localhost:8080", "sec-fetch-site": "same-origin" }, 200],
  ])("%o is answered with %i", async (headers, status) => {
    expect(await statusFor(local, headers)).toBe(status);
  });

  test("an address that people come to by links is open to browsers from elsewhere, under the same names", async () => {
    const linked = appWith(
      refuseForeignPages({ loopbackOnly: true, allowedOrigins: [], isLinked: (path) => path === "/" }),
    );
    expect(await statusFor(linked, { host: "localhost", "sec-fetch-site": "cross-site" })).toBe(200);
    expect(await statusFor(linked, { host: "localhost", origin: "null" })).toBe(200);
    expect(await statusFor(linked, { host: "attacker.example" })).toBe(403);
  });

  test("with authentication any name is served, other pages still not", async () => {
    expect(await statusFor(open, { host: "agents.example" })).toBe(200);
    expect(await statusFor(open, { host: "agents.example", origin: "https://attacker.example" })).toBe(403);
  });
});

test.each([
  ["127.0.0.1", true],
  ["127.1.2.3", true],
  ["::1", true],
  ["[::1]", true],
  ["::1:2", false],
  ["[::2]:8080", false],
  ["", false],
  ["localhost", true],
  ["0.0.0.0", false],
  ["::", false],
  ["192.168.1.2", false],
  ["example.test", false],
])("isLoopbackHost(%s) is %s", (host, expected) => {
  expect(isLoopbackHost(host)).toBe(expected);
});
