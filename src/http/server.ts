import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { AppError, systemErrorCode } from "../lib/errors.ts";
import type { HttpApp } from "./app.ts";
import { isLoopbackHost } from "./auth.ts";
import { errorResponse, wireError } from "./errors.ts";

export interface ServeOptions {
  /** Default 127.0.0.1. Anything but this machine needs an app with authentication. */
  readonly host?: string;
  /** 0 takes a free one. Default 8080. */
  readonly port?: number;
  /** How long requests may still take when the server closes; then their sockets are cut. Default 10 seconds. */
  readonly graceMs?: number;
}

/** What is served: the app, or something that stands before it. */
export type ServedApp = Pick<HttpApp, "authenticated"> & {
  fetch(request: Request, env: { readonly closing: AbortSignal }): Response | Promise<Response>;
};

export interface HttpServer extends AsyncDisposable {
  /** For example "http://127.0.0.1:8080". */
  readonly url: string;
  /** Takes no more requests, ends streams (their readers come back with their cursors), and lets the rest finish. */
  close(): Promise<void>;
}

/**
 * Listens. @throws AppError `invalid_config` for an address that others can reach while the app has no authentication,
 * `unavailable` when the port is taken.
 */
export async function serve(app: ServedApp, options: ServeOptions = {}): Promise<HttpServer> {
  const { host = "127.0.0.1", port = 8080, graceMs = 10_000 } = options;
  refuseOpenDoor(app, host);
  const closing = new AbortController();
  const server = createServer(
    getRequestListener((request) => app.fetch(request, { closing: closing.signal }), {
      // Holdfast is also a library: the process's own Request and Response stay as they are.
      overrideGlobalObjects: false,
      errorHandler: () =>
        errorResponse(wireError("invalid_input", "the request's address or Host header is not valid")),
    }),
  );
  // A connection that was in use when closing began would otherwise be kept alive for the next request.
  server.on("request", (_request, response) => {
    if (closing.signal.aborted) response.setHeader("connection", "close");
    response.once("close", () => {
      if (closing.signal.aborted) setImmediate(() => server.closeIdleConnections());
    });
  });
  await listen(server, host, port);

  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= closeGracefully(server, closing, graceMs);
    return closed;
  };
  return { url: urlOf(server, host), close, [Symbol.asyncDispose]: close };
}

function refuseOpenDoor(app: ServedApp, host: string): void {
  if (app.authenticated || isLoopbackHost(host)) return;
  throw new AppError("invalid_config", `will not listen on ${host} without authentication`, {
    hint: "Whoever reaches the port could run commands. Configure a token, or listen on 127.0.0.1.",
  });
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host, port }, resolve);
  try {
    await promise;
  } catch (cause) {
    throw listenError(cause, host, port);
  } finally {
    server.off("error", reject);
  }
}

function listenError(cause: unknown, host: string, port: number): AppError {
  const reasons: Readonly<Record<string, readonly [string, string]>> = {
    EADDRINUSE: [`port ${port} on ${host} is in use`, "Choose another port; 0 takes a free one."],
    EACCES: [`this user may not listen on port ${port}`, "Choose a port above 1023."],
    EADDRNOTAVAIL: [`${host} is not an address of this machine`, "Listen on 127.0.0.1 or 0.0.0.0."],
    ENOTFOUND: [`the name ${host} is not known`, "Listen on 127.0.0.1 or 0.0.0.0."],
  };
  const [message, hint] = reasons[systemErrorCode(cause) ?? ""] ?? [
    `cannot listen on ${host}:${port}`,
    undefined,
  ];
  return new AppError("unavailable", message, { cause, ...(hint === undefined ? {} : { hint }) });
}

async function closeGracefully(server: Server, closing: AbortController, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  closing.abort();
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(cut);
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
