import { z } from "zod";
import type { JsonObject } from "../lib/json.ts";
import { wireErrorSchema } from "./entry-schemas.ts";
import type { HeaderSpec } from "./headers.ts";
import type { ResponseSpec, Route } from "./route.ts";
import { JSON_BYTES, UPLOAD_BYTES } from "./schemas.ts";

/** The OpenAPI 3.1 document of the routes: the same schemas that check the requests. */
export function openApiDocument(
  routes: readonly Route[],
  options: { readonly version: string; readonly auth: boolean },
): JsonObject {
  const components = new Map<string, JsonObject>();
  const paths = Map.groupBy(routes, ({ path }) => path);
  return {
    openapi: "3.1.1",
    info: {
      title: "Holdfast",
      version: options.version,
      description: "Sessions of AI agents that survive crashes: create, message, follow, stop.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths: Object.fromEntries(
      [...paths].map(([path, group]) => [
        path,
        Object.fromEntries(group.map((route) => [route.method, operation(route, components)])),
      ]),
    ),
    components: {
      schemas: Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1))),
      ...(options.auth ? { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } } : {}),
    },
    ...(options.auth ? { security: [{ bearer: [] }] } : {}),
  };
}

type Components = Map<string, JsonObject>;

function operation(route: Route, components: Components): JsonObject {
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(route.public === undefined || route.public === false ? {} : { security: [] }),
    parameters: [
      ...parameters(route.params, "path", components),
      ...parameters(route.query, "query", components),
      ...(route.headers ?? []).map(headerParameter),
    ],
    ...requestBody(route, components),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.responses).map(([status, spec]) => [status, response(spec, components)]),
      ),
      default: {
        description: "An error; its code and status say which.",
        content: { "application/json": { schema: schemaOf(wireErrorSchema, components) } },
      },
    },
  };
}

function parameters(
  schema: z.ZodObject | undefined,
  place: "path" | "query",
  components: Components,
): readonly JsonObject[] {
  return Object.entries(schema?.shape ?? {}).map(([name, field]) => {
    const { description, ...rest } = schemaOf(field as z.ZodType, components);
    const required = place === "path";
    return { name, in: place, required, schema: rest, ...(description === undefined ? {} : { description }) };
  });
}

function headerParameter({ name, description }: HeaderSpec): JsonObject {
  return { name, in: "header", required: false, description, schema: { type: "string" } };
}

function requestBody(route: Route, components: Components): JsonObject {
  if (route.rawBody === true) {
    const description = `Bytes, at most ${UPLOAD_BYTES / 2 ** 20} MiB; streamed to disk.`;
    return { requestBody: { required: true, description, content: { "application/octet-stream": {} } } };
  }
  if (route.formBody !== undefined) {
    const schema = schemaOf(route.formBody, components);
    return { requestBody: { required: true, content: { "application/x-www-form-urlencoded": { schema } } } };
  }
  if (route.body === undefined) return {};
  const schema = schemaOf(route.body, components);
  const description = `JSON, at most ${JSON_BYTES / 2 ** 20} MiB; unknown fields are refused.`;
  return {
    requestBody: {
      required: route.optionalBody !== true,
      description,
      content: { "application/json": { schema } },
    },
  };
}

function response(
  { description, content = {}, headers = [] }: ResponseSpec,
  components: Components,
): JsonObject {
  const media = Object.entries(content).map(([type, schema]) => [
    type,
    schema === "binary" ? {} : { schema: schemaOf(schema, components) },
  ]);
  return {
    description,
    ...(media.length === 0 ? {} : { content: Object.fromEntries(media) }),
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers.map(responseHeader)) }),
  };
}

function responseHeader({ name, description }: HeaderSpec): [string, JsonObject] {
  return [name, { description, schema: { type: "string" } }];
}

/** A schema in which every named one is a reference to a component. */
function schemaOf(schema: z.ZodType, components: Components): JsonObject {
  const { $schema: _, $defs = {}, ...own } = z.toJSONSchema(schema, { io: "input" });
  const id = z.globalRegistry.get(schema)?.id;
  // The generator writes a named schema itself either in place or, when it is used again inside, as a reference.
  const named = id === undefined || id in $defs ? $defs : { ...$defs, [id]: own };
  for (const [name, definition] of Object.entries(named)) components.set(name, withComponentRefs(definition));
  return id === undefined ? withComponentRefs(own) : { $ref: `#/components/schemas/${id}` };
}

/** The generator puts named schemas under `$defs`; the document keeps them in its components. */
function withComponentRefs(schema: unknown): JsonObject {
  const text = JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/');
  const { id: _, ...rest } = JSON.parse(text) as { readonly [key: string]: JsonObject };
  return rest;
}
