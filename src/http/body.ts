import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { AppError, systemErrorCode } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { parseJsonSource } from "../lib/json-source.ts";
import type { BodyBudget } from "./body-budget.ts";
import { httpProblem, wireError } from "./errors.ts";

/**
 * The JSON body of a request; `undefined` when it has none.
 * @throws AppError `too_large` before more than `limit` bytes are held, `invalid_input` with the place of the mistake; a 503
 * when the bodies of other requests take the memory that there is for them.
 */
export async function readJson(request: Request, limit: number, budget: BodyBudget): Promise<unknown> {
  const bytes = await readAll(request, limit, budget);
  if (bytes.length === 0) return undefined;
  requireJson(request);
  return parseJson(decodeUtf8(bytes));
}

/** What a form of a web page sends. @throws AppError as `readJson`. */
export async function readForm(
  request: Request,
  limit: number,
  budget: BodyBudget,
): Promise<URLSearchParams> {
  return new URLSearchParams(decodeUtf8(await readAll(request, limit, budget)));
}

async function readAll(request: Request, limit: number, budget: BodyBudget): Promise<Uint8Array> {
  using share = budget.open();
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced <= limit) share.hold(announced);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of limitedBody(request, limit, jsonHint)) {
    size += chunk.length;
    share.hold(size);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const jsonHint =
  "Put large content into a file of the session (PUT /v1/sessions/{sessionId}/files/{path}, up to 100 MiB) and name the file in the prompt.";

/** A body that was received whole and lies on disk until it is disposed of. */
export interface Upload extends AsyncDisposable {
  readonly size: number;
  /** The content in pieces of at most `size` bytes; at least one piece, which may be empty. A piece is valid until the next. */
  pieces(size: number): AsyncIterable<Uint8Array>;
}

/**
 * Receives a body into a temporary file, so that a slow or broken upload touches nothing and costs no memory.
 * @throws AppError `too_large` before more than `limit` bytes are written, `no_space` when the disk is full.
 */
export async function receiveUpload(
  request: Request,
  options: { readonly dir: string; readonly limit: number },
): Promise<Upload> {
  const path = join(options.dir, newId("holdfast-upload"));
  const file = await open(path, "wx+", 0o600);
  // From here on the file has no name: whatever happens to this process, nothing of it stays on the disk.
  await unlink(path);
  try {
    const size = await writeAll(file, limitedBody(request, options.limit, uploadHint));
    return {
      size,
      pieces: (length) => readPieces(file, size, length),
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

const uploadHint = "Split the file, or fetch it from inside of the sandbox.";

async function writeAll(file: FileHandle, body: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of body) {
    try {
      await file.writeFile(chunk);
    } catch (error) {
      if (systemErrorCode(error) !== "ENOSPC") throw error;
      throw new AppError("no_space", "the server's disk is full: the upload was not stored", {
        cause: error,
      });
    }
    size += chunk.length;
  }
  return size;
}

async function* readPieces(file: FileHandle, size: number, length: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(size, length)));
  for (let offset = 0; offset === 0 || offset < size; ) {
    const wanted = Math.min(buffer.length, size - offset);
    const { bytesRead } = await file.read(buffer, 0, wanted, offset);
    if (bytesRead < wanted && bytesRead === 0)
      throw new Error("the temporary file of an upload became shorter");
    yield buffer.subarray(0, bytesRead);
    offset += bytesRead;
    if (size === 0) return;
  }
}

/** The body's bytes, refused as soon as it is known that there are more than `limit`. */
export async function* limitedBody(
  request: Request,
  limit: number,
  hint: string,
): AsyncGenerator<Uint8Array> {
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge(limit, hint);
  if (request.body === null) return;
  let size = 0;
  try {
    for await (const chunk of request.body) {
      size += chunk.length;
      if (size > limit) throw tooLarge(limit, hint);
      yield chunk;
    }
  } catch (error) {
    if (!request.signal.aborted) throw error;
    throw new AppError("cancelled", "the caller hung up before the whole body had arrived", { cause: error });
  }
}

function tooLarge(limit: number, hint: string): AppError {
  return new AppError(
    "too_large",
    `the request's body is over the limit of ${limit / 2 ** 20} MiB (${limit} bytes)`,
    {
      hint,
      details: { limitBytes: limit },
    },
  );
}

function requireJson(request: Request): void {
  const type = request.headers.get("content-type");
  if (type === null || /^application\/(?:[\w.+-]+\+)?json\b/i.test(type)) return;
  throw httpProblem(
    wireError("unsupported_media_type", `the request's body has the type "${type}"; expected JSON`, {
      hint: "Send the header Content-Type: application/json.",
    }),
  );
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new AppError("invalid_input", "the request's body is not valid UTF-8", { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed(text, cause);
  }
}

/** The platform's parser is fast but does not always say where; the one for people's files does. */
function malformed(text: string, cause: unknown): AppError {
  const source = parseJsonSource(text);
  if (source.ok) return new AppError("invalid_input", "the request's body is not valid JSON", { cause });
  const { line, column } = source.position;
  const reason = source.message.replaceAll("the file", "the body");
  return new AppError(
    "invalid_input",
    `the request's body is not valid JSON, at line ${line} column ${column}: ${reason}`,
    { details: { line, column }, cause },
  );
}
