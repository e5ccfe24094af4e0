import { dirname, join, resolve } from "node:path";
import { type ModelAccess, modelIdPattern } from "./agents/choose-model.ts";
import { providers } from "./agents/providers.ts";
import {
  type BearerToken,
  checkSecrets,
  checkTokens,
  type Environment,
  secretsIn,
  tokensIn,
  tokensOf,
} from "./config-secrets.ts";
import { IMPORT_BYTES } from "./http/deps.ts";
import { AppError } from "./lib/errors.ts";
import { nearest } from "./lib/json.ts";
import { parseDuration, parseSize } from "./lib/units.ts";
import type { TenantLimits } from "./run/session/commands.ts";

/** What the environment and the command line say, checked, with every default. The only reader of `process.env`. */
export interface Config {
  /** Where sessions are kept, absolute; null for `.holdfast` beside each harness.json (see `dataDirOf`). */
  readonly dataDir: string | null;
  /** Where the server listens. Port 0: any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The server that commands like `invoke` talk to, without a slash at the end. */
  readonly serverUrl: string;
  /** Where people reach the server that runs here, without a slash at the end; null: where it listens. */
  readonly publicUrl: string | null;
  readonly models: ModelConfig;
  /** What the sessions of each tenant may cost in one day (UTC), US dollars; null: no limit. */
  readonly tenantDailyUsd: number | null;
  /** Of each tenant; see `run/session/commands.ts`. */
  readonly tenantLimits: TenantLimits;
  /** How long a server that is told to end waits for runs to come to a point at which they can be left. Milliseconds. */
  readonly drainMs: number;
  /** The largest file that a server imports as a session, in bytes. */
  readonly importBytes: number;
  /** Tokens that the server accepts; empty when none are set. A function, so that a printed configuration has no secrets. */
  bearerTokens(): readonly BearerToken[];
  /** Signs links with which people answer questions; undefined: one that is made once and kept in the data directory. */
  linkSecret(): string | undefined;
  /** Signs what is sent to the webhooks of agents: "whsec_" and base64, as of Standard Webhooks. */
  webhookSecret(): string | undefined;
  /** The token that commands send to a server. */
  clientToken(): string | undefined;
  /** Things that look like slips, each a sentence. */
  readonly warnings: readonly string[];
}

export interface ModelConfig extends ModelAccess {
  /** Looked up at each call, so that a key that is changed is used. Never store the answer. */
  apiKey(provider: string): string | undefined;
  /** The OpenAI-compatible address of Ollama: that of OLLAMA_HOST, or where it usually listens. */
  readonly ollamaUrl: string;
}

export type { BearerToken, Environment } from "./config-secrets.ts";

/** What the command line may say; stronger than the environment. */
export interface ConfigOverrides {
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: string | number;
  readonly url?: string;
  readonly drainTimeout?: string;
}

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 8080;
const DEFAULT_DRAIN = "30s";
const LONGEST_DRAIN_MS = 86_400_000;

const variables = [
  "HOLDFAST_DATA_DIR",
  "HOLDFAST_HOST",
  "HOLDFAST_PORT",
  "HOLDFAST_URL",
  "HOLDFAST_TOKEN",
  "HOLDFAST_TOKENS",
  "HOLDFAST_MODEL",
  "HOLDFAST_PUBLIC_URL",
  "HOLDFAST_SECRET",
  "HOLDFAST_WEBHOOK_SECRET",
  "HOLDFAST_DRAIN_TIMEOUT",
  "HOLDFAST_TENANT_RUNS",
  "HOLDFAST_TENANT_SESSIONS_PER_MINUTE",
  "HOLDFAST_TENANT_DAILY_USD",
  "HOLDFAST_IMPORT_LIMIT",
] as const;

/** @throws AppError `invalid_config` that names every wrong setting at once. */
export function readConfig(overrides: ConfigOverrides = {}, env: Environment = { ...process.env }): Config {
  const problems: string[] = [];
  const dataDir = overrides.dataDir ?? settingOf(env, "HOLDFAST_DATA_DIR");
  const setting = (
    option: "host" | "port" | "url" | "drainTimeout",
    variable: (typeof variables)[number],
  ): Setting =>
    overrides[option] === undefined
      ? { name: variable, value: settingOf(env, variable) }
      : { name: optionNames[option], value: String(overrides[option]) };
  const host = readHost(setting("host", "HOLDFAST_HOST"), problems);
  const port = readPort(setting("port", "HOLDFAST_PORT"), problems);
  const serverUrl = readUrl(setting("url", "HOLDFAST_URL"), { host, port }, problems);
  const ollamaUrl = readOllamaHost(settingOf(env, "OLLAMA_HOST"), problems);
  const defaultModel = readModel(settingOf(env, "HOLDFAST_MODEL"), problems);
  const tenantDailyUsd = readDollars(env, "HOLDFAST_TENANT_DAILY_USD", problems);
  const tenantLimits = {
    runs: readLimit(env, "HOLDFAST_TENANT_RUNS", problems),
    sessionsPerMinute: readLimit(env, "HOLDFAST_TENANT_SESSIONS_PER_MINUTE", problems),
  };
  const importBytes = readSize(env, "HOLDFAST_IMPORT_LIMIT", IMPORT_BYTES, problems);
  const drainMs = readDrain(setting("drainTimeout", "HOLDFAST_DRAIN_TIMEOUT"), problems);
  const publicUrl = readPublicUrl(settingOf(env, "HOLDFAST_PUBLIC_URL"), problems);
  checkSecrets(env, problems);
  checkTokens(env, problems);
  if (problems.length > 0) {
    throw new AppError("invalid_config", problems.join("\n"), { details: { problems } });
  }
  const apiKey = (provider: string) => findKey(env, provider);
  return {
    dataDir: dataDir === undefined ? null : resolve(dataDir),
    listen: { host, port },
    serverUrl,
    publicUrl,
    linkSecret: () => secretsIn(env).links,
    webhookSecret: () => secretsIn(env).webhooks,
    models: { defaultModel, ollamaUrl, apiKey, hasKey: (provider) => apiKey(provider) !== undefined },
    tenantDailyUsd,
    tenantLimits,
    drainMs,
    importBytes,
    bearerTokens: () => tokensIn(env),
    clientToken: () => (tokensOf(env.HOLDFAST_TOKEN ?? "")[0] ?? tokensIn(env)[0])?.token,
    warnings: unknownVariables(env),
  };
}

/** The directory with the sessions of the agent in this harness.json. Need not exist. */
export function dataDirOf(config: Pick<Config, "dataDir">, harnessFile: string): string {
  return config.dataDir ?? join(dirname(resolve(harnessFile)), ".holdfast");
}

/** A value, and the option or the variable that it comes from, so that a complaint can name it. */
interface Setting {
  readonly name: string;
  readonly value: string | undefined;
}

const optionNames = {
  host: "--host",
  port: "--port",
  url: "--url",
  drainTimeout: "--drain-timeout",
} as const;

/** Set and not blank. */
function settingOf(env: Environment, name: (typeof variables)[number] | "OLLAMA_HOST"): string | undefined {
  return env[name]?.trim() || undefined;
}

/** The environment variables that may hold the key of a provider. Those that are not in the table follow the pattern. */
export function keyVariablesOf(provider: string): readonly string[] {
  const known = providers.find(({ name }) => name === provider)?.keyVariables;
  return known ?? [`${provider.toUpperCase().replaceAll("-", "_")}_API_KEY`];
}

function findKey(env: Environment, provider: string): string | undefined {
  for (const variable of keyVariablesOf(provider)) {
    const key = env[variable]?.trim();
    if (key) return key;
  }
  return undefined;
}

function readHost({ name, value: host }: Setting, problems: string[]): string {
  if (host === undefined) return DEFAULT_HOST;
  if (!/^[A-Za-z0-9.:_-]+$/.test(host)) {
    problems.push(`${name} ${JSON.stringify(host)} is not a name or an address such as 127.0.0.1`);
  }
  return host;
}

function readDollars(env: Environment, name: "HOLDFAST_TENANT_DAILY_USD", problems: string[]): number | null {
  const text = settingOf(env, name);
  if (text === undefined) return null;
  if (/^\d+(?:\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  problems.push(`${name} ${JSON.stringify(text)} is not an amount of US dollars such as 25 or 0.50`);
  return null;
}

function readSize(
  env: Environment,
  name: "HOLDFAST_IMPORT_LIMIT",
  standard: number,
  problems: string[],
): number {
  const text = settingOf(env, name);
  if (text === undefined) return standard;
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  problems.push(`${name} ${JSON.stringify(text)} is not a size such as 500MB or 2GiB`);
  return standard;
}

function readPort({ name, value: port }: Setting, problems: string[]): number {
  if (port === undefined) return DEFAULT_PORT;
  if (/^\d{1,5}$/.test(port) && Number(port) <= 65_535) return Number(port);
  problems.push(`${name} ${JSON.stringify(port)} is not a number from 0 to 65535`);
  return DEFAULT_PORT;
}

function readUrl(
  { name, value: url }: Setting,
  listen: { readonly host: string; readonly port: number },
  problems: string[],
): string {
  if (url === undefined) return `http://${urlHost(listen.host)}:${listen.port}`;
  const parsed = URL.parse(url);
  if (parsed?.protocol === "http:" || parsed?.protocol === "https:") return url.replace(/\/+$/, "");
  problems.push(`${name} ${JSON.stringify(url)} does not start with "http://" or "https://"`);
  return url;
}

function readPublicUrl(url: string | undefined, problems: string[]): string | null {
  if (url === undefined) return null;
  const parsed = URL.parse(url);
  const isPlain = parsed !== null && parsed.search === "" && parsed.hash === "" && parsed.username === "";
  if (isPlain && /^https?:$/.test(parsed.protocol)) return parsed.href.replace(/\/+$/, "");
  problems.push(
    `HOLDFAST_PUBLIC_URL ${JSON.stringify(url)} is not an address such as https://agents.example.com`,
  );
  return null;
}

/** How a client names the host on which a server listens: "every interface" is no address to connect to. */
function urlHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return DEFAULT_HOST;
  return host.includes(":") ? `[${host}]` : host;
}

/** Understands what Ollama does: "host", "host:port" or an address. Where it listens everywhere, it is asked here. */
function readOllamaHost(value: string | undefined, problems: string[]): string {
  const text = value ?? "127.0.0.1:11434";
  const hasScheme = text.includes("://");
  const url = URL.parse(hasScheme ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    problems.push(`OLLAMA_HOST ${JSON.stringify(value)} is not an address such as 127.0.0.1:11434`);
    return text;
  }
  if (!hasScheme && url.port === "" && !text.endsWith(":80")) url.port = "11434";
  if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = DEFAULT_HOST;
  const path = url.pathname.replace(/\/+$/, "");
  return `${url.protocol}//${url.host}${path.endsWith("/v1") ? path : `${path}/v1`}`;
}

function readModel(model: string | undefined, problems: string[]): string | null {
  if (model === undefined) return null;
  if (!modelIdPattern.test(model)) {
    problems.push(`HOLDFAST_MODEL ${JSON.stringify(model)} is not a model's id: expected "provider/name"`);
  }
  return model;
}

function readLimit(
  env: Environment,
  name: "HOLDFAST_TENANT_RUNS" | "HOLDFAST_TENANT_SESSIONS_PER_MINUTE",
  problems: string[],
): number | null {
  const text = settingOf(env, name);
  if (text === undefined) return null;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  problems.push(`${name} ${JSON.stringify(text)} is not a whole number above 0`);
  return null;
}

function readDrain({ name, value = DEFAULT_DRAIN }: Setting, problems: string[]): number {
  const drainMs = parseDuration(value);
  if (drainMs !== undefined && drainMs <= LONGEST_DRAIN_MS) return drainMs;
  problems.push(`${name} ${JSON.stringify(value)} is not a time of at most a day such as "30s" or "5m"`);
  return 0;
}

function unknownVariables(env: Environment): readonly string[] {
  const unknown = Object.keys(env).filter(
    (name) => name.startsWith("HOLDFAST_") && !variables.some((known) => known === name),
  );
  return unknown.map((name) => {
    const near = nearest(name, variables);
    return `the environment variable ${name} is not known${near === undefined ? "" : `: did you mean ${near}?`}`;
  });
}
