import { tmpdir } from "node:os";
import { Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { systemClock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { Sessions } from "../run/session/sessions.ts";
import { refuseForeignPages, requireBearer } from "./auth.ts";
import { type BodyBudget, createBodyBudget } from "./body-budget.ts";
import { type HttpDeps, type HttpOptions, IMPORT_BYTES } from "./deps.ts";
import { responseOf } from "./errors.ts";
import { idempotencyKeyHeader, sessionHeader } from "./headers.ts";
import { openApiDocument } from "./openapi.ts";
import { type Call, type HttpEnv, mount, type Route } from "./route.ts";
import { agentRoutes } from "./routes/agents.ts";
import { approveRoutes } from "./routes/approve.ts";
import { auditRoutes } from "./routes/audit.ts";
import { contextRoutes } from "./routes/context.ts";
import { costRoutes } from "./routes/costs.ts";
import { eventRoutes } from "./routes/events.ts";
import { execRoutes } from "./routes/exec.ts";
import { fileRoutes } from "./routes/files.ts";
import { interruptRoutes } from "./routes/interrupts.ts";
import { invocationRoutes } from "./routes/invocations.ts";
import { messageRoutes } from "./routes/messages.ts";
import { permissionRoutes } from "./routes/permissions.ts";
import { pingRoutes } from "./routes/ping.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { timeTravelRoutes } from "./routes/time-travel.ts";
import { transferRoutes } from "./routes/transfer.ts";
import { JSON_BYTES } from "./schemas.ts";

/** Eight bodies of the largest size. */
const BODY_BYTES = 8 * JSON_BYTES;

export type HttpApp = Hono<HttpEnv> & {
  /** Whether callers need a token. `serve` listens beyond this machine only then. */
  readonly authenticated: boolean;
};

/**
 * The HTTP API. A request goes through it like this:
 *
 * 1. `secure`: headers that keep browsers from guessing, framing and caching go on every answer.
 * 2. `refuseForeignPages`: the name under which the server was called, and the page that calls.
 * 3. `requireBearer`: the token, except for public routes.
 * 4. `mount`: the route, or 404, or 405 with the methods that there are.
 * 5. `defineRoute`: path, query and body are checked by the route's schemas; strict, with limits on size.
 * 6. `routes/*`: the handler calls `Sessions` and answers with JSON or a stream (`sse.ts`).
 * 7. `responseOf`: whatever was thrown becomes the one error shape (`errors.ts`); a stream that has begun ends with it.
 */
export function createApp(options: HttpOptions): HttpApp {
  const deps = withDefaults(options);
  const routes = apiRoutes(deps);
  const app = new Hono<HttpEnv>();

  app.use(secure());
  app.use(sharing(createBodyBudget(options.bodyBytes ?? BODY_BYTES)));
  app.use(endBodyOfHead());
  const { auth, allowedOrigins = [] } = options;
  const isLinked = pathsOf(routes.filter((route) => route.public === "link"));
  app.use(refuseForeignPages({ loopbackOnly: auth === undefined, allowedOrigins, isLinked }));
  if (allowedOrigins.length > 0) app.use(allowPages(allowedOrigins));
  if (auth !== undefined) app.use(exceptPublic(routes, requireBearer(auth)));

  mount(app, routes, respondersBy(deps, options.sessionsOf));
  const about = { version: options.version ?? "0", auth: auth !== undefined };
  let document: string | undefined;
  app.get("/openapi.json", (c) => {
    document ??= JSON.stringify(openApiDocument(routes, about));
    return c.body(document, 200, { "content-type": "application/json" });
  });

  app.notFound((c) => {
    const hint = "GET /openapi.json lists every route.";
    return responseOf(
      new AppError("not_found", `there is nothing at ${c.req.path}`, { hint }),
      deps.onDefect,
    );
  });
  app.onError((error) => responseOf(error, deps.onDefect));
  return Object.assign(app, { authenticated: auth !== undefined });
}

/** Every route, for the app and for the document. */
export function apiRoutes(deps: HttpDeps): readonly Route[] {
  return [
    pingRoutes,
    invocationRoutes,
    agentRoutes,
    sessionRoutes,
    contextRoutes,
    messageRoutes,
    eventRoutes,
    interruptRoutes,
    approveRoutes,
    permissionRoutes,
    costRoutes,
    auditRoutes,
    execRoutes,
    fileRoutes,
    timeTravelRoutes,
    transferRoutes,
  ]
    .flatMap((make) => make(deps))
    .map((route) => (route.startsWork === true ? unlessDraining(route, deps) : route));
}

/** Nothing was begun, so that the caller may send the same to the server that comes next. */
function unlessDraining(route: Route, { draining }: HttpDeps): Route {
  return {
    ...route,
    async respond(c) {
      if (!draining()) return route.respond(c);
      throw new AppError("unavailable", "the server is about to end and takes no new work", {
        hint: "Try again in a moment, with the same idempotency key if there is one.",
        details: { retryAfterMs: 5_000 },
      });
    },
  };
}

/**
 * The routes as they are for a caller: over the sessions of its tenant. Handlers know of no others, so that none can forget
 * to look whose a session is.
 */
function respondersBy(
  deps: HttpDeps,
  sessionsOf: (tenant: string) => Sessions = () => deps.sessions,
): (c: Call) => ReadonlyMap<string, Route["respond"]> {
  const respondersOver = (sessions: Sessions) =>
    new Map(apiRoutes({ ...deps, sessions }).map(({ operationId, respond }) => [operationId, respond]));
  const all = respondersOver(deps.sessions);
  const byTenant = new Map<string, ReadonlyMap<string, Route["respond"]>>();
  return (c) => {
    const tenant = c.get("tenant");
    if (tenant === undefined) return all;
    const known = byTenant.get(tenant) ?? respondersOver(sessionsOf(tenant));
    byTenant.set(tenant, known);
    return known;
  };
}

function withDefaults(options: HttpOptions): HttpDeps {
  return {
    sessions: options.sessions,
    agents: options.agents,
    ...(options.links === undefined ? {} : { links: options.links }),
    uploadDir: options.uploadDir ?? tmpdir(),
    importBytes: options.importBytes ?? IMPORT_BYTES,
    heartbeatMs: options.heartbeatMs ?? 15_000,
    draining: options.draining ?? (() => false),
    clock: options.clock ?? systemClock,
    onDefect: options.onDefect ?? ((error, errorId) => console.error(errorId, error)),
  };
}

function sharing(bodies: BodyBudget): MiddlewareHandler<HttpEnv> {
  return (c, next) => {
    c.set("bodies", bodies);
    return next();
  };
}

const securityHeaders = [
  ["x-content-type-options", "nosniff"],
  // A file of the workspace may be a web page that a model wrote: it must not run in this origin.
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"],
  ["cross-origin-resource-policy", "same-origin"],
  ["referrer-policy", "no-referrer"],
] as const;

function secure(): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    await next();
    const { headers } = c.res;
    // A page of the server's own says itself what it may do.
    for (const [name, value] of securityHeaders) if (!headers.has(name)) headers.set(name, value);
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  };
}

/** HEAD runs the handler of GET, whose stream nobody reads then: without this it would be watched for ever. */
function endBodyOfHead(): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    await next();
    if (c.req.raw.method === "HEAD") await c.res.body?.cancel();
  };
}

function allowPages(origins: readonly string[]): ReturnType<typeof cors> {
  return cors({
    origin: [...origins],
    exposeHeaders: [sessionHeader.name, "Idempotency-Replayed", "Location"],
    allowHeaders: [
      "Authorization",
      "Content-Type",
      "Last-Event-ID",
      idempotencyKeyHeader.name,
      sessionHeader.name,
    ],
    maxAge: 600,
  });
}

function exceptPublic(routes: readonly Route[], check: ReturnType<typeof requireBearer>): typeof check {
  const isOpen = pathsOf(routes.filter((route) => route.public !== undefined && route.public !== false));
  return (c, next) => (isOpen(c.req.path) ? next() : check(c, next));
}

/** Whether a path is one of these routes'. */
function pathsOf(routes: readonly Route[]): (path: string) => boolean {
  const patterns = routes.map(({ path }) => new RegExp(`^${path.replace(/\{\w+\}/g, "[^/]+")}$`));
  return (path) => patterns.some((pattern) => pattern.test(path));
}
