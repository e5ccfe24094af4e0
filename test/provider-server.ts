import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** What a provider does with one request. */
export interface Play {
  /** A file under test/fixtures/providers/, or the body itself. */
  readonly fixture?: string;
  readonly body?: string;
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Close the socket after this many bytes of the body. */
  readonly cutAfter?: number;
  /** Send this many bytes of the body, then nothing. */
  readonly hangAfter?: number;
}

export interface ProviderServer extends AsyncDisposable {
  /** Without a path: "http://127.0.0.1:1234". */
  readonly url: string;
  readonly requests: readonly RecordedRequest[];
  /** Connections that were opened so far. */
  readonly connections: number;
  /** Resolves when the client has closed a connection whose answer was not complete. */
  readonly abandoned: Promise<void>;
}

export interface RecordedRequest {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** Parsed. Inspected by tests only, hence without a shape. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks at whatever it likes.
  readonly body: any;
}

/** A provider on loopback: the first request gets the first play, and so on; the last one serves all that follow. */
export async function serveProvider(...plays: readonly Play[]): Promise<ProviderServer> {
  const requests: RecordedRequest[] = [];
  let connections = 0;
  const abandoned = Promise.withResolvers<void>();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const play = plays[Math.min(requests.length, plays.length - 1)] ?? {};
    response.on("close", () => {
      if (!response.writableEnded) abandoned.resolve();
    });
    requests.push({
      path: request.url ?? "",
      headers: request.headers,
      body: JSON.parse(await text(request)),
    });
    await send(play, response);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.on("connection", () => {
    connections++;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    get connections() {
      return connections;
    },
    abandoned: abandoned.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function send(play: Play, response: ServerResponse): Promise<void> {
  const body = play.fixture === undefined ? (play.body ?? "") : await fixture(play.fixture);
  const contentType = (play.status ?? 200) === 200 ? "text/event-stream" : "application/json";
  response.writeHead(play.status ?? 200, { "content-type": contentType, ...play.headers });
  const limit = play.cutAfter ?? play.hangAfter;
  if (limit === undefined) {
    response.end(body);
    return;
  }
  response.flushHeaders();
  if (limit > 0) response.write(Buffer.from(body).subarray(0, limit));
  if (play.hangAfter !== undefined) return;
  await delay(20);
  response.destroy();
}

function fixture(name: string): Promise<string> {
  return readFile(new URL(`./fixtures/providers/${name}`, import.meta.url), "utf8");
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
