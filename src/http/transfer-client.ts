import { AppError, errorMessage, isAppError } from "../lib/errors.ts";
import type { ImportResult, Transfer } from "../run/session/transfer.ts";
import { exportIdHeader, exportSkippedHeader } from "./headers.ts";
import type { Transport } from "./transport.ts";

/** Taking sessions from a server and to it. */
export function remoteTransfer(transport: Transport): Transfer {
  return {
    async export(sessionId, { workspace = true } = {}) {
      const path = `/v1/sessions/${encodeURIComponent(sessionId)}/export?workspace=${workspace}`;
      const response = await transport.send("GET", path, { headers: { accept: "*/*" }, repeatable: true });
      return {
        id: response.headers.get(exportIdHeader.name) ?? "",
        skipped: Number(response.headers.get(exportSkippedHeader.name) ?? 0),
        bytes: () => untilCut(response.body ?? new Blob([]).stream()),
      };
    },

    async import(file, { limits: _, ...query } = {}) {
      const search = new URLSearchParams(Object.entries(query)).toString();
      const response = await transport.send("POST", `/v1/sessions/import?${search}`, {
        body: ReadableStream.from(file),
        headers: { "content-type": "application/gzip" },
      });
      return (await response.json()) as ImportResult;
    },
  };
}

async function* untilCut(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    if (isAppError(cause)) throw cause;
    throw new AppError("unavailable", `the server broke the export off: ${errorMessage(cause)}`, {
      hint: "Something works on the session or its files, or the connection was lost. Try again.",
      cause,
    });
  }
}
