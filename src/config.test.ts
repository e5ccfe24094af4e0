import { resolve } from "node:path";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { dataDirOf, readConfig } from "./config.ts";
import { isAppError } from "./lib/errors.ts";

const token = "0123456789abcdef0123456789abcdef";

test("an empty environment gives the defaults", () => {
  const config = readConfig({}, {});
  expect(config).toMatchObject({
    dataDir: null,
    listen: { host: "127.0.0.1", port: 8080 },
    serverUrl: "http://127.0.0.1:8080",
    models: { defaultModel: null, ollamaUrl: "http://127.0.0.1:11434/v1" },
    warnings: [],
  });
  expect(config.bearerTokens()).toEqual([]);
  expect(config.clientToken()).toBeUndefined();
  expect(config.models.hasKey("anthropic")).toBe(false);
});

test("the command line is stronger than the environment", () => {
  const env = { HOLDFAST_DATA_DIR: "/env", HOLDFAST_HOST: "10.0.0.1", HOLDFAST_PORT: "1" };
  expect(readConfig({}, env)).toMatchObject({ dataDir: "/env", listen: { host: "10.0.0.1", port: 1 } });
  expect(readConfig({ dataDir: "/flag", host: "::1", port: "2" }, env)).toMatchObject({
    dataDir: "/flag",
    listen: { host: "::1", port: 2 },
    serverUrl: "http://[::1]:2",
  });
});

test("a tenant's budget is an amount of dollars", () => {
  const read = (amount: string) => readConfig({}, { HOLDFAST_TENANT_DAILY_USD: amount }).tenantDailyUsd;
  expect([read("25"), read(" 0.50 "), read("")]).toEqual([25, 0.5, null]);
  for (const wrong of ["0", "-1", "$5", "much", "1e3"]) {
    expect(() => read(wrong), wrong).toThrow(`HOLDFAST_TENANT_DAILY_USD "${wrong}" is not an amount`);
  }
});

test("the largest file that is imported has a unit", () => {
  const read = (size: string) => readConfig({}, { HOLDFAST_IMPORT_LIMIT: size }).importBytes;
  expect(readConfig({}, {}).importBytes).toBe(2 ** 30);
  expect(read("2GiB")).toBe(2 ** 31);
  for (const wrong of ["2", "-1GiB", "0B", "much"]) {
    expect(() => read(wrong), wrong).toThrow(`HOLDFAST_IMPORT_LIMIT "${wrong}" is not a size`);
  }
});

test("blank is not set", () => {
  expect(readConfig({}, { HOLDFAST_PORT: " ", ANTHROPIC_API_KEY: "" }).models.hasKey("anthropic")).toBe(
    false,
  );
});

test("sessions are kept beside the harness.json unless told otherwise", () => {
  expect(dataDirOf({ dataDir: null }, "/a/harness.json")).toBe("/a/.holdfast");
  expect(dataDirOf({ dataDir: "/d" }, "/a/harness.json")).toBe("/d");
  expect(readConfig({ dataDir: "d" }, {}).dataDir).toBe(resolve("d"));
});

test.each([
  ["0.0.0.0", "http://127.0.0.1:8080"],
  ["::", "http://127.0.0.1:8080"],
  ["box", "http://box:8080"],
])("a client finds the server that listens on %s at %s", (host, url) => {
  expect(readConfig({ host }, {}).serverUrl).toBe(url);
});

test.each([
  ["127.0.0.1", "http://127.0.0.1:11434/v1"],
  ["0.0.0.0", "http://127.0.0.1:11434/v1"],
  ["box:80", "http://box/v1"],
  ["box:1234", "http://box:1234/v1"],
  ["http://box", "http://box/v1"],
  ["https://box/ollama/", "https://box/ollama/v1"],
  ["http://box:1/v1", "http://box:1/v1"],
])("OLLAMA_HOST %s is the address %s", (value, url) => {
  expect(readConfig({}, { OLLAMA_HOST: value }).models.ollamaUrl).toBe(url);
});

test.each([
  ["anthropic", { ANTHROPIC_API_KEY: "k" }],
  ["google", { GEMINI_API_KEY: "k" }],
  ["google", { GOOGLE_GENERATIVE_AI_API_KEY: "k" }],
  ["openai-compatible", { OPENAI_COMPATIBLE_API_KEY: " k\n" }],
])("the key of %s is found in %j", (provider, env) => {
  expect(readConfig({}, env).models.apiKey(provider)).toBe("k");
});

test("a key is looked up when it is used", () => {
  const env: Record<string, string> = { OPENAI_API_KEY: "old" };
  const { models } = readConfig({}, env);
  env.OPENAI_API_KEY = "new";
  expect(models.apiKey("openai")).toBe("new");
});

test("tokens come from both variables, without repetition", () => {
  const other = token.toUpperCase();
  const config = readConfig({}, { HOLDFAST_TOKEN: token, HOLDFAST_TOKENS: `${other}, ${token},` });
  expect(config.bearerTokens()).toEqual([
    { tenant: "default", token },
    { tenant: "default", token: other },
  ]);
  expect(config.clientToken()).toBe(token);
});

test("a token may stand behind the name of its tenant", () => {
  const base64 = "c2VjcmV0IHRoYXQgaXMgbG9uZw==";
  const env = {
    HOLDFAST_TOKEN: token,
    HOLDFAST_TOKENS: `acme=${token}, b.c-1=${base64},${base64.toUpperCase()}`,
  };
  const config = readConfig({}, env);
  expect(config.bearerTokens()).toEqual([
    { tenant: "acme", token },
    { tenant: "b.c-1", token: base64 },
    { tenant: "default", token: base64.toUpperCase() },
  ]);
  expect(config.clientToken()).toBe(token);
  expect(readConfig({}, { HOLDFAST_TOKENS: `acme=${token}` }).clientToken()).toBe(token);
  const twice = { HOLDFAST_TOKENS: `acme=${token},umbrella=${token}` };
  expect(() => readConfig({}, twice)).toThrow("belongs to more than one tenant");
});

test("a token may be that of a person", () => {
  const base64 = "c2VjcmV0/HRoYXQ=";
  const env = {
    HOLDFAST_TOKEN: token,
    HOLDFAST_TOKENS: `default/ada=${token},acme/b.o@example.com=${base64}`,
  };
  expect(readConfig({}, env).bearerTokens()).toEqual([
    { tenant: "default", actor: "ada", token },
    { tenant: "acme", actor: "b.o@example.com", token: base64 },
  ]);
  // Base64 has slashes of its own.
  expect(readConfig({}, { HOLDFAST_TOKENS: base64 }).bearerTokens()).toEqual([
    { tenant: "default", token: base64 },
  ]);
  const twice = { HOLDFAST_TOKENS: `acme/ada=${token},acme/bob=${token}` };
  expect(() => readConfig({}, twice)).toThrow("belongs to more than one tenant or person");
});

test("where people reach the server, and what links and webhooks are signed with", () => {
  expect(readConfig({}, {}).publicUrl).toBeNull();
  expect([readConfig({}, {}).linkSecret(), readConfig({}, {}).webhookSecret()]).toEqual([
    undefined,
    undefined,
  ]);
  const env = {
    HOLDFAST_PUBLIC_URL: "https://agents.example.com/holdfast/",
    HOLDFAST_SECRET: token,
    HOLDFAST_WEBHOOK_SECRET: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
  };
  const config = readConfig({}, env);
  expect(config.publicUrl).toBe("https://agents.example.com/holdfast");
  expect([config.linkSecret(), config.webhookSecret()]).toEqual([
    env.HOLDFAST_SECRET,
    env.HOLDFAST_WEBHOOK_SECRET,
  ]);
  expect(inspect(config)).not.toContain(token);

  const wrong = {
    HOLDFAST_PUBLIC_URL: "https://agents.example.com/?a=b",
    HOLDFAST_SECRET: "short and secret",
    HOLDFAST_WEBHOOK_SECRET: "whsec_dG9vIHNob3J0",
  };
  const error = catchError(() => readConfig({}, wrong));
  expect(isAppError(error) && error.message.split("\n")).toEqual([
    expect.stringContaining('HOLDFAST_PUBLIC_URL "https://agents.example.com/?a=b" is not an address'),
    expect.stringContaining("HOLDFAST_SECRET has fewer than 32 characters"),
    expect.stringContaining('HOLDFAST_WEBHOOK_SECRET is not "whsec_" and at least 24 bytes'),
  ]);
  expect(String(error)).not.toMatch(/short and secret|dG9v/);
});

test("limits of tenants and the time to drain, and what they cannot be", () => {
  expect(readConfig({}, {})).toMatchObject({
    tenantLimits: { runs: null, sessionsPerMinute: null },
    drainMs: 30_000,
  });
  const env = {
    HOLDFAST_TENANT_RUNS: "8",
    HOLDFAST_TENANT_SESSIONS_PER_MINUTE: "60",
    HOLDFAST_DRAIN_TIMEOUT: "2m",
  };
  expect(readConfig({}, env)).toMatchObject({
    tenantLimits: { runs: 8, sessionsPerMinute: 60 },
    drainMs: 120_000,
  });
  expect(readConfig({ drainTimeout: "0s" }, env).drainMs).toBe(0);
  const wrong = {
    HOLDFAST_TENANT_RUNS: "0",
    HOLDFAST_TENANT_SESSIONS_PER_MINUTE: "many",
    HOLDFAST_DRAIN_TIMEOUT: "30",
  };
  const error = catchError(() => readConfig({}, wrong));
  expect(isAppError(error, "invalid_config") && error.message.split("\n")).toEqual([
    'HOLDFAST_TENANT_RUNS "0" is not a whole number above 0',
    'HOLDFAST_TENANT_SESSIONS_PER_MINUTE "many" is not a whole number above 0',
    'HOLDFAST_DRAIN_TIMEOUT "30" is not a time of at most a day such as "30s" or "5m"',
  ]);
  expect(() => readConfig({ drainTimeout: "2d" }, {})).toThrow('--drain-timeout "2d"');
});

test("printing a configuration shows no secret", () => {
  const config = readConfig({}, { HOLDFAST_TOKEN: token, ANTHROPIC_API_KEY: "sk-secret" });
  expect(inspect(config, { depth: 9 }) + JSON.stringify(config)).not.toMatch(/sk-secret|0123456789abcdef/);
});

test("every wrong setting is told at once, without repeating a secret", () => {
  const env = {
    HOLDFAST_HOST: "http://x",
    HOLDFAST_PORT: "80a",
    HOLDFAST_URL: "localhost:80",
    HOLDFAST_MODEL: "claude",
    HOLDFAST_TOKEN: "hunter two",
    OLLAMA_HOST: "ftp://x",
  };
  const error = catchError(() => readConfig({}, env));
  expect(isAppError(error, "invalid_config") && error.message.split("\n")).toEqual([
    'HOLDFAST_HOST "http://x" is not a name or an address such as 127.0.0.1',
    'HOLDFAST_PORT "80a" is not a number from 0 to 65535',
    'HOLDFAST_URL "localhost:80" does not start with "http://" or "https://"',
    'OLLAMA_HOST "ftp://x" is not an address such as 127.0.0.1:11434',
    'HOLDFAST_MODEL "claude" is not a model\'s id: expected "provider/name"',
    "a token in HOLDFAST_TOKEN or HOLDFAST_TOKENS has fewer than 16 characters: make one with `openssl rand -hex 32`",
    "a token in HOLDFAST_TOKEN or HOLDFAST_TOKENS holds spaces or characters beyond ASCII",
  ]);
});

test("a wrong option is named as such, also where the variable is right", () => {
  const env = { HOLDFAST_HOST: "box", HOLDFAST_PORT: "1", HOLDFAST_URL: "http://box" };
  const error = catchError(() => readConfig({ host: "a b", port: 70_000, url: "box" }, env));
  expect(isAppError(error, "invalid_config") && error.message.split("\n")).toEqual([
    '--host "a b" is not a name or an address such as 127.0.0.1',
    '--port "70000" is not a number from 0 to 65535',
    '--url "box" does not start with "http://" or "https://"',
  ]);
});

test("a slip in the name of a variable is a warning", () => {
  expect(readConfig({}, { HOLDFAST_DATADIR: "/x", HOME: "/h" }).warnings).toEqual([
    "the environment variable HOLDFAST_DATADIR is not known: did you mean HOLDFAST_DATA_DIR?",
  ]);
});

function catchError(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
