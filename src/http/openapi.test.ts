import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, test } from "vitest";
import { createAgentRegistry } from "../agents/registry.ts";
import { systemClock } from "../lib/clock.ts";
import { isRecord } from "../lib/json.ts";
import type { Sessions } from "../run/session/sessions.ts";
import { apiRoutes } from "./app.ts";
import { openApiDocument } from "./openapi.ts";

/** The document does not depend on what the routes work with. */
const routes = apiRoutes({
  sessions: {} as Sessions,
  agents: createAgentRegistry([]),
  uploadDir: "",
  heartbeatMs: 1,
  importBytes: 1,
  draining: () => false,
  clock: systemClock,
  onDefect: () => {},
});
const document = openApiDocument(routes, { version: "1.2.3", auth: true });

describe("the OpenAPI document", () => {
  test("is valid", async () => {
    expect(await new Validator().validate(structuredClone(document))).toEqual({ valid: true });
  });

  test("holds every route, each with an operation id of its own", () => {
    expect(isRecord(document.paths) && Object.keys(document.paths)).toEqual([
      ...new Set(routes.map(({ path }) => path)),
    ]);
    expect(new Set(routes.map(({ operationId }) => operationId)).size).toBe(routes.length);
  });

  test("refers only to components that it holds, and none to itself", () => {
    const { schemas } = document.components as { schemas: Record<string, { $ref?: string }> };
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
    expect(references.length).toBeGreaterThan(20);
    for (const [, name = ""] of references) expect(schemas, name).toHaveProperty(name);
    for (const [name, schema] of Object.entries(schemas)) expect(schema.$ref, name).toBeUndefined();
    expect(JSON.stringify(document)).not.toContain("$defs");
  });
});
