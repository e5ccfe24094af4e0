import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentDefinition } from "../../src/agents/define.ts";
import { type Environment, readConfig } from "../../src/config.ts";
import { createApp } from "../../src/http/app.ts";
import { type Client, createClient } from "../../src/http/client.ts";
import type { HttpOptions } from "../../src/http/deps.ts";
import { type HttpServer, serve } from "../../src/http/server.ts";
import type { Script } from "../../src/models/scripted/script.ts";
import { createScriptedModel } from "../../src/models/scripted/scripted.ts";
import { openRuntime, type Runtime } from "../../src/runtime.ts";
import { noneDriver } from "../../src/sandboxes/none/none.ts";

/** The whole server in this process, over a scripted model, a real store and real commands. */
export interface ApiServer extends AsyncDisposable {
  readonly url: string;
  readonly runtime: Runtime;
  readonly client: Client;
  /** Ids of defects that were logged; a test that expects none checks that it is empty. */
  readonly defects: readonly string[];
  readonly server: HttpServer;
}

export type ApiServerOptions = Partial<
  Pick<HttpOptions, "auth" | "heartbeatMs" | "uploadDir" | "allowedOrigins" | "importBytes" | "clock">
> & {
  /** Default: one, "tester". */
  readonly agents?: readonly string[];
  /** What all of them have besides. */
  readonly agent?: Pick<AgentDefinition, "approvals" | "limits" | "delivery" | "permissions" | "tools">;
  readonly env?: Environment;
};

/** Where links lead to; not where the server of a test listens. */
export const PUBLIC_URL = "https://agents.example.test";

export async function startApiServer(script: Script, options: ApiServerOptions = {}): Promise<ApiServer> {
  const { agents = ["tester"], agent = {}, env = {}, ...http } = options;
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-http-"));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rm(dataDir, { recursive: true, force: true }));
  const model = createScriptedModel(script, { record: false });
  const runtime = opened.use(
    await openRuntime({
      agents: agents.map((name) => ({
        name,
        description: `The agent ${name}.`,
        systemPrompt: "Do what the test says.",
        model: { id: "test/scripted" },
        sandbox: { isolation: "none" },
        ...agent,
      })),
      config: readConfig({}, env),
      publicUrl: PUBLIC_URL,
      dataDir,
      ...(http.clock === undefined ? {} : { clock: http.clock }),
      models: () => model,
      sandboxes: [noneDriver()],
      graceMs: 200,
      notify: () => {},
    }),
  );
  const defects: string[] = [];
  const app = createApp({
    sessions: runtime.sessions,
    sessionsOf: runtime.sessionsOf,
    agents: runtime.agents,
    ...(runtime.links === undefined ? {} : { links: runtime.links }),
    onDefect: (error) => defects.push(String(error)),
    ...http,
  });
  const server = opened.use(await serve(app, { port: 0, graceMs: 500 }));
  const disposal = opened.move();
  return {
    url: server.url,
    runtime,
    server,
    defects,
    client: createClient({ url: server.url, retryMs: 10 }),
    [Symbol.asyncDispose]: () => disposal.disposeAsync(),
  };
}

/** What the agents of these tests do, by what they are told. */
export const script: Script = {
  turns: [
    { when: { user: "hello" }, times: "any", text: "Hello to you.", usage: { input: 10, output: 4 } },
    {
      when: { user: "stream", after: "user" },
      times: "any",
      text: "word ".repeat(200),
      chunkSize: 5,
      delayMs: { first: 1, between: 1 },
    },
    {
      when: { user: "work", after: "user" },
      times: "any",
      text: "I shall count. ".repeat(20),
      chunkSize: 7,
      delayMs: { between: 1 },
      calls: [
        { tool: "shell", input: { command: "for i in 1 2 3 4 5; do echo $i; sleep 0.02; done" } },
        { tool: "shell", input: { command: "echo two; sleep 0.05; echo done" } },
      ],
    },
    {
      when: { user: "work", after: "tool", step: 2 },
      times: "any",
      calls: [{ tool: "shell", input: { command: "echo last" } }],
    },
    {
      when: { user: "work", after: "tool", step: 3 },
      times: "any",
      text: "Counted to five.",
      chunkSize: 3,
      delayMs: 1,
    },
    { when: { user: "hang" }, times: "any", text: "never said", delayMs: { first: 600_000 } },
    {
      when: { user: "sleep", after: "user" },
      times: "any",
      calls: [{ tool: "shell", input: { command: "sleep 600" } }],
    },
    {
      when: { user: "refused key" },
      times: "any",
      error: { kind: "authentication", message: "invalid x-api-key", status: 401 },
    },
    { when: { user: "too long" }, times: "any", error: { kind: "contextOverflow" } },
  ],
};

export interface WireAnswer {
  readonly status: number;
  readonly headers: Headers;
  // What the test looks at is its business; `expect` compares it with what it should be.
  readonly body: unknown;
}

/** A request as a stranger would make it, without the client of Holdfast. */
export async function ask(url: string, path: string, init: RequestInit = {}): Promise<WireAnswer> {
  const response = await fetch(`${url}${path}`, init);
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

export function json(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  };
}
