import { getMimeType } from "hono/utils/mime";
import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import type { FileStat, Sandbox } from "../../sandboxes/sandbox.ts";
import { receiveUpload, type Upload } from "../body.ts";
import type { HttpDeps } from "../deps.ts";
import { defineRoute, type Route } from "../route.ts";
import { deleteQuerySchema, directorySchema, UPLOAD_BYTES, writtenFileSchema } from "../schemas.ts";
import { sessionParams } from "./sessions.ts";

/** Bytes of a file that are in memory at once, in either direction. */
const PIECE_BYTES = 1024 * 1024;
/** An upload up to this size is one write, which a crash cannot cut; a larger one is written piece by piece. */
const ATOMIC_BYTES = 8 * PIECE_BYTES;

const fileParams = sessionParams.extend({
  path: z
    .string()
    .max(4096)
    .default("")
    .meta({ description: "Relative to the workspace. Empty for the workspace itself." }),
});

export function fileRoutes({ sessions, uploadDir }: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/sessions/{sessionId}/files/{path}",
      operationId: "readFile",
      summary: "A file of the workspace, or the entries of a directory",
      params: fileParams,
      responses: {
        200: {
          description: "The file's bytes; or JSON for a directory.",
          content: { "application/octet-stream": "binary", "application/json": directorySchema },
        },
      },
      async handle({ params: { sessionId, path } }, c) {
        const sandbox = await sessions.sandbox(sessionId);
        const stat = await sandbox.stat(path || ".");
        if (stat === undefined) throw notFound(path);
        if (stat.type === "directory") {
          return c.json({ path, entries: (await sandbox.listDirectory(path || ".")) ?? [] });
        }
        if (stat.type === "other") {
          throw new AppError("invalid_input", `"${path}" is neither a file nor a directory`);
        }
        return fileResponse(sandbox, path, stat);
      },
    }),

    defineRoute({
      method: "put",
      path: "/v1/sessions/{sessionId}/files/{path}",
      operationId: "writeFile",
      summary: "Write a file of the workspace: the body's bytes, up to 100 MiB",
      description:
        "The file is touched only when the whole body has arrived. Missing directories are made. A file of up to 8 MiB is replaced whole or not at all; a larger one is written in pieces, so that a crash of the server may leave a part.",
      params: fileParams,
      rawBody: true,
      responses: {
        200: { description: "Replaced.", content: { "application/json": writtenFileSchema } },
        201: { description: "Created.", content: { "application/json": writtenFileSchema } },
      },
      async handle({ params: { sessionId, path } }, c) {
        if (path === "" || path.endsWith("/")) {
          throw new AppError("invalid_input", "the path of a file is missing", {
            hint: "Name it after /files/, for example /files/data/orders.csv.",
          });
        }
        await sessions.get(sessionId);
        await using upload = await receiveUpload(c.req.raw, { dir: uploadDir, limit: UPLOAD_BYTES });
        const sandbox = await sessions.sandbox(sessionId);
        const created = (await sandbox.stat(path)) === undefined;
        await store(sandbox, path, upload);
        return c.json({ path, size: upload.size, created }, created ? 201 : 200);
      },
    }),

    defineRoute({
      method: "delete",
      path: "/v1/sessions/{sessionId}/files/{path}",
      operationId: "deleteFile",
      summary: "Delete a file of the workspace, or a directory with `recursive=true`",
      params: fileParams,
      query: deleteQuerySchema,
      responses: { 204: { description: "Deleted." } },
      async handle({ params: { sessionId, path }, query }, c) {
        if (path === "") throw new AppError("invalid_input", "the path of a file is missing");
        const sandbox = await sessions.sandbox(sessionId);
        const deleted = await sandbox.deleteFile(path, { recursive: query.recursive === "true" });
        if (!deleted) throw notFound(path);
        return c.body(null, 204);
      },
    }),
  ];
}

async function store(sandbox: Sandbox, path: string, upload: Upload): Promise<void> {
  let append = false;
  for await (const piece of upload.pieces(ATOMIC_BYTES)) {
    await sandbox.writeFile(path, piece, { append });
    append = true;
  }
}

function fileResponse(sandbox: Sandbox, path: string, { size, modifiedAt }: FileStat): Response {
  let offset = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (offset >= size) return controller.close();
        const length = Math.min(PIECE_BYTES, size - offset);
        const piece = await sandbox.readFile(path, { offset, length });
        // The length has been promised: a file that changed meanwhile cuts the answer, so that the reader notices.
        if (piece === undefined || piece.bytes.length < length)
          throw new Error(`${path} changed while it was read`);
        offset += piece.bytes.length;
        controller.enqueue(piece.bytes);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: {
      "content-type": getMimeType(path) ?? "application/octet-stream",
      "content-length": String(size),
      "last-modified": new Date(modifiedAt).toUTCString(),
    },
  });
}

function notFound(path: string): AppError {
  return new AppError("not_found", `there is no "${path}" in the session's workspace`, {
    hint: "GET the directory to see what is there.",
  });
}
