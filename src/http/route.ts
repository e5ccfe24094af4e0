import type { Context, Hono } from "hono";
import type { z } from "zod";
import { readJson } from "./body.ts";
import type { BodyBudget } from "./body-budget.ts";
import { httpProblem, wireError } from "./errors.ts";
import type { HeaderSpec } from "./headers.ts";
import { JSON_BYTES } from "./schemas.ts";
import { validate } from "./validate.ts";

export interface HttpEnv {
  /** What the server puts into a request's environment: a signal that is aborted when it closes. */
  readonly Bindings: { readonly closing?: AbortSignal };
  readonly Variables: {
    /** What all requests of an app share. */
    readonly bodies: BodyBudget;
    /** Whose the request's token is; undefined where there are no tokens, and on public routes. */
    readonly tenant: string | undefined;
    /** The person that the token belongs to; undefined where it may be anybody's. */
    readonly actor: string | undefined;
  };
}

export type Call = Context<HttpEnv>;

/**
 * One operation of the API. The same data checks the request, runs it, and describes it in the OpenAPI document, so that
 * they cannot differ.
 */
export interface Route extends RouteDocs {
  readonly params: z.ZodObject | undefined;
  readonly query: z.ZodObject | undefined;
  readonly body: z.ZodType | undefined;
  readonly respond: (c: Call) => Promise<Response>;
}

export interface RouteDocs {
  readonly method: "get" | "post" | "put" | "delete";
  /** As in OpenAPI: "/v1/sessions/{sessionId}". A parameter named `path` takes the rest, slashes included. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** Answered without a token. `link`: and to browsers that come from pages elsewhere, because its address is the credential. */
  readonly public?: boolean | "link";
  /** Refused by a server that is about to end. */
  readonly startsWork?: boolean;
  readonly headers?: readonly HeaderSpec[];
  /** The body is bytes, which `handle` reads itself. */
  readonly rawBody?: boolean;
  /** What a form of a web page sends, which `handle` reads itself. */
  readonly formBody?: z.ZodType;
  /** The body may be left out. */
  readonly optionalBody?: boolean;
  readonly responses: Readonly<Record<number, ResponseSpec>>;
}

export interface ResponseSpec {
  readonly description: string;
  /** By media type; a stream of events is described by the schema of one event. */
  readonly content?: Readonly<Record<string, z.ZodType | "binary">>;
  readonly headers?: readonly HeaderSpec[];
}

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

export interface RouteDefinition<Params, Query, Body> extends RouteDocs {
  readonly params?: Params;
  readonly query?: Query;
  /** A JSON body. */
  readonly body?: Body;
  readonly handle: (
    input: { readonly params: Parsed<Params>; readonly query: Parsed<Query>; readonly body: Parsed<Body> },
    c: Call,
  ) => Promise<Response>;
}

/** A route whose handler gets what its schemas say. */
export function defineRoute<
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(definition: RouteDefinition<Params, Query, Body>): Route {
  const { params, query, body, handle, ...docs } = definition;
  return {
    ...docs,
    params,
    query,
    body,
    async respond(c) {
      const input = {
        params: params && validate(params, c.req.param(), "path"),
        query: query && validate(query, c.req.query(), "query"),
        body: body && validate(body, await bodyOf(c, docs), "body"),
      };
      // Each part is the output of its own schema, or undefined where there is none.
      return handle(input as Parameters<typeof handle>[0], c);
    },
  };
}

async function bodyOf(c: Call, docs: RouteDocs): Promise<unknown> {
  const body = await readJson(c.req.raw, JSON_BYTES, c.get("bodies"));
  return body === undefined && docs.optionalBody === true ? {} : body;
}

/**
 * Registers the routes; another method on a known path is answered with 405 and the methods that there are. Who answers is
 * found for each call: `respondersFor` gives the routes as they are for its caller.
 */
export function mount(
  app: Hono<HttpEnv>,
  routes: readonly Route[],
  respondersFor: (c: Call) => ReadonlyMap<string, Route["respond"]>,
): void {
  for (const { method, path, operationId, respond } of routes) {
    const answer = (c: Call) => (respondersFor(c).get(operationId) ?? respond)(c);
    for (const pattern of honoPaths(path)) app.on(method.toUpperCase(), pattern, answer);
  }
  // "/v1/sessions/import" is no session, so that it stands before "/v1/sessions/{sessionId}".
  const paths = [...Map.groupBy(routes, ({ path }) => path)];
  for (const [path, group] of paths.sort(([a], [b]) => parametersIn(a) - parametersIn(b))) {
    const methods = group.map(({ method }) => method.toUpperCase());
    for (const pattern of honoPaths(path)) app.all(pattern, (c) => refuseMethod(c, methods));
  }
}

function parametersIn(path: string): number {
  return path.split("{").length;
}

function refuseMethod(c: Call, methods: readonly string[]): never {
  const allow = methods.join(", ");
  throw httpProblem(
    wireError("method_not_allowed", `${c.req.path} does not take ${c.req.method}`, {
      hint: `It takes ${allow}.`,
    }),
    { allow },
  );
}

/** "/v1/sessions/{sessionId}" as Hono writes it. The rest after ".../files/{path}" may be empty, with or without its slash. */
function honoPaths(path: string): readonly string[] {
  const pattern = path.replace("{path}", ":path{.*}").replace(/\{(\w+)\}/g, ":$1");
  return pattern.endsWith("/:path{.*}") ? [pattern, pattern.replace("/:path{.*}", "")] : [pattern];
}
