import { AppError } from "../../lib/errors.ts";
import { limitedBody } from "../body.ts";
import type { HttpDeps } from "../deps.ts";
import { exportIdHeader, exportSkippedHeader } from "../headers.ts";
import { defineRoute, type Route } from "../route.ts";
import { exportQuerySchema, importedSessionSchema, importQuerySchema } from "../transfer-schemas.ts";
import { sessionParams } from "./sessions.ts";

/** A file may unpack to this many times its size: text does not compress better. */
const UNPACKED = 16;

const tooLargeHint =
  "Export it without its workspace, or raise the server's limit (HOLDFAST_IMPORT_LIMIT), or import it where the server runs.";

export function transferRoutes({ sessions, importBytes }: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}/export",
      operationId: "exportSession",
      summary: "The session as one file: its log, its files, and earlier states of them",
      description:
        "A compressed tar with a manifest. A session that has work is a 409; one that waits for a person is not. When something changes while the file is sent, the answer breaks off.",
      params: sessionParams,
      query: exportQuerySchema,
      responses: {
        200: {
          description: "The file.",
          content: { "application/gzip": "binary" },
          headers: [exportIdHeader, exportSkippedHeader],
        },
      },
      async handle({ params: { sessionId }, query }) {
        const exported = await sessions.export(sessionId, { workspace: query.workspace === "true" });
        return new Response(ReadableStream.from(exported.bytes()), {
          headers: {
            "content-type": "application/gzip",
            "content-disposition": `attachment; filename="${sessionId.replaceAll(":", "_")}.holdfast.tar.gz"`,
            [exportIdHeader.name]: exported.id,
            [exportSkippedHeader.name]: String(exported.skipped),
          },
        });
      },
    }),

    defineRoute({
      method: "post",
      path: "/v1/sessions/import",
      operationId: "importSession",
      summary: "Make a session of a file that an export wrote",
      description:
        "The body is the file. Nothing can be seen before all of it has been checked. The same file again is the same session. A tenant may not do this: what a log says was approved is believed.",
      query: importQuerySchema,
      rawBody: true,
      startsWork: true,
      responses: {
        200: {
          description: "This file was imported before.",
          content: { "application/json": importedSessionSchema },
        },
        201: { description: "Created.", content: { "application/json": importedSessionSchema } },
      },
      async handle({ query }, c) {
        if (c.req.raw.body === null)
          throw new AppError("invalid_input", "the file is missing: the body is empty");
        const file = limitedBody(c.req.raw, importBytes, tooLargeHint);
        const limits = { unpackedBytes: importBytes * UNPACKED };
        const imported = await sessions.import(file, { ...query, limits });
        return c.json(imported, imported.created ? 201 : 200);
      },
    }),
  ];
}
