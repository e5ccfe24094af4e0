import { AppError } from "../../lib/errors.ts";
import type {
  DirectoryEntry,
  ExecSpec,
  Execution,
  FileContent,
  FileStat,
  Sandbox,
  SandboxCapabilities,
} from "../sandbox.ts";
import type { Connection } from "./connection.ts";
import { errorFromAgent, isMissing } from "./errors.ts";
import { followOperation } from "./execution.ts";
import {
  answer,
  encodeFields,
  type Field,
  type FieldReader,
  type Frame,
  MAX_PAYLOAD,
  readFields,
  request,
} from "./frames.ts";

export const ROOT = "/workspace";
/** What is sent at once of a file or of standard input. */
const PART = 256 << 10;
const MAX_STDIN = 64 << 20;
/** Larger files are read in ranges; what is asked for in one call is held in memory. */
const MAX_READ = 256 << 20;
const MAX_SCRIPT = 127 << 10;

/** A sandbox as seen through connections to its agent. */
export function createClient(options: {
  /** The connection, made anew when the one before has ended. @throws AppError `unavailable` */
  readonly connect: () => Promise<Connection>;
  readonly capabilities: SandboxCapabilities;
  readonly disconnect: () => Promise<void>;
  readonly destroy: () => Promise<void>;
}): Sandbox {
  const { connect } = options;
  return {
    kind: "process",
    capabilities: options.capabilities,
    root: ROOT,
    exec: async (spec) => exec(await connect(), spec),
    attach: async (operationId) => attach(await connect(), operationId),
    readFile: async (path, range) => readFile(await connect(), path, range),
    writeFile: async (path, content, how) => writeFile(await connect(), path, content, how?.append === true),
    stat: async (path) => stat(await connect(), path),
    listDirectory: async (path) => listDirectory(await connect(), path),
    deleteFile: async (path, how) => deleteFile(await connect(), path, how?.recursive === true),
    destroy: options.destroy,
    [Symbol.asyncDispose]: options.disconnect,
  };
}

// ---- commands ----

async function exec(connection: Connection, spec: ExecSpec): Promise<Execution> {
  checkExec(spec);
  const variables = Object.entries(spec.env ?? {}).map(
    ([name, value]): Field => ["text", `${name}=${value}`],
  );
  const command = encodeFields(
    ["u32", Math.min(Math.max(1, Math.ceil(spec.timeoutMs)), 0xffff_ffff)],
    ["text", spec.operationId],
    ["text", spec.command],
    ["text", spec.cwd ?? ROOT],
    ["u32", variables.length],
    ...variables,
  );
  if (command.length > MAX_PAYLOAD) {
    throw new AppError("too_large", "the command with its variables is longer than 1 MiB", {
      hint: "Write it to a file and run that.",
    });
  }
  return followOperation(connection, spec.operationId, {
    ask(id) {
      for (const part of parts(spec.stdin)) connection.send(request.stdin, id, part);
      connection.send(request.exec, id, command);
    },
    toError: (errno, what) =>
      what === "cwd"
        ? errorFromAgent(
            isMissing(errno) ? "ENOTDIR" : errno,
            `the directory ${spec.cwd ?? ROOT} of the command`,
          )
        : errorFromAgent(errno, `operation ${spec.operationId} (${what})`),
  });
}

function checkExec(spec: ExecSpec): void {
  const texts = [spec.operationId, spec.command, spec.cwd ?? "", ...Object.entries(spec.env ?? {}).flat()];
  if (texts.some((text) => text.includes("\0"))) {
    throw new AppError("invalid_input", "a command, its directory and its variables cannot hold a zero byte");
  }
  const named = Object.keys(spec.env ?? {}).find((name) => name === "" || name.includes("="));
  if (named !== undefined) throw new AppError("invalid_input", `"${named}" is not the name of a variable`);
  // The system takes no longer argument.
  if (Buffer.byteLength(spec.command) > MAX_SCRIPT) {
    throw new AppError("too_large", "the command is longer than 127 KiB", {
      hint: "Write it to a file and run that.",
    });
  }
  if ((spec.stdin?.length ?? 0) > MAX_STDIN) {
    throw new AppError("too_large", "standard input is longer than 64 MiB", {
      hint: "Write it to a file and read that.",
    });
  }
}

function* parts(bytes: Uint8Array | undefined): Generator<Uint8Array> {
  if (bytes === undefined) return;
  for (let at = 0; at < bytes.length; at += PART) yield bytes.subarray(at, at + PART);
}

async function attach(connection: Connection, operationId: string): Promise<Execution | undefined> {
  let unknown = false;
  try {
    return await followOperation(connection, operationId, {
      ask: (id) => connection.send(request.attach, id, encodeFields(["text", operationId])),
      toError(errno, what) {
        unknown = isMissing(errno);
        return errorFromAgent(errno, `operation ${operationId} (${what})`);
      },
    });
  } catch (error) {
    if (unknown) return undefined;
    throw error;
  }
}

// ---- files ----

async function readFile(
  connection: Connection,
  path: string,
  range: { readonly offset: number; readonly length: number } | undefined,
): Promise<FileContent | undefined> {
  const offset = range?.offset ?? 0;
  const length = Math.min(range?.length ?? Number.MAX_SAFE_INTEGER, MAX_READ + 1);
  if (!Number.isSafeInteger(offset) || Number.isNaN(length) || offset < 0 || length < 0) {
    throw new AppError("invalid_input", `a range of ${path} needs an offset and a length of at least 0`);
  }
  const reply = await call(connection, path, (id) =>
    connection.send(request.read, id, encodeFields(["u64", offset], ["u64", length], ["text", path])),
  );
  if (reply === undefined) return undefined;
  return { bytes: new Uint8Array(Buffer.concat(reply.data)), size: reply.fields.u64() };
}

async function writeFile(
  connection: Connection,
  path: string,
  content: Uint8Array,
  append: boolean,
): Promise<void> {
  const reply = await call(connection, path, async (id, isOver) => {
    connection.send(request.write, id, encodeFields(["u8", append ? 1 : 0], ["text", path]));
    for (const part of parts(content)) {
      connection.send(request.writeData, id, part);
      await connection.drained();
      if (isOver()) return;
    }
    connection.send(request.writeEnd, id);
  });
  if (reply === undefined)
    throw new AppError("invalid_input", `${path} cannot be written: no such directory`);
}

async function stat(connection: Connection, path: string): Promise<FileStat | undefined> {
  const reply = await call(connection, path, (id) =>
    connection.send(request.stat, id, encodeFields(["text", path])),
  );
  if (reply === undefined) return undefined;
  const type = reply.fields.u8();
  return {
    type: type === 1 ? "file" : type === 2 ? "directory" : "other",
    size: reply.fields.u64(),
    modifiedAt: reply.fields.u64(),
  };
}

const ENTRY_TYPES = ["other", "file", "directory", "symlink", "other"] as const;

async function listDirectory(
  connection: Connection,
  path: string,
): Promise<readonly DirectoryEntry[] | undefined> {
  const reply = await call(connection, path, (id) =>
    connection.send(request.list, id, encodeFields(["text", path])),
  );
  if (reply === undefined) return undefined;
  const entries: DirectoryEntry[] = [];
  for (const page of reply.data) {
    const fields = readFields(page);
    while (fields.left > 0) {
      const type = ENTRY_TYPES[fields.u8()] ?? "other";
      const size = fields.u64();
      entries.push({ name: fields.text(), type, size });
    }
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function deleteFile(connection: Connection, path: string, recursive: boolean): Promise<boolean> {
  const reply = await call(connection, path, (id) =>
    connection.send(request.delete, id, encodeFields(["u8", recursive ? 1 : 0], ["text", path])),
  );
  return reply !== undefined;
}

interface Reply {
  readonly data: readonly Uint8Array[];
  readonly fields: FieldReader;
}

/** One request about a path, all of its answer; undefined when there is nothing at the path. */
function call(
  connection: Connection,
  path: string,
  send: (id: number, isOver: () => boolean) => void | Promise<void>,
): Promise<Reply | undefined> {
  return new Promise((resolve, reject) => {
    if (path.includes("\0")) {
      reject(new AppError("invalid_input", `the path ${JSON.stringify(path)} holds a zero byte`));
      return;
    }
    const data: Uint8Array[] = [];
    let held = 0;
    let over = false;
    const settle = (finish: () => void) => {
      over = true;
      connection.forget(id);
      finish();
    };
    const onFrame = (frame: Frame) => {
      if (frame.type === answer.data) {
        held += frame.payload.length;
        if (held > MAX_READ) settle(() => reject(tooLargeToRead(path)));
        else data.push(frame.payload);
      } else if (frame.type === answer.done) {
        settle(() => resolve({ data, fields: readFields(frame.payload) }));
      } else {
        const errno = frame.type === answer.fail ? readFields(frame.payload).u32() : 0;
        settle(() => (isMissing(errno) ? resolve(undefined) : reject(errorFromAgent(errno, path))));
      }
    };
    const id = connection.request({ onFrame, onClose: (error) => settle(() => reject(error)) });
    if (!connection.open) settle(() => reject(new AppError("unavailable", "the sandbox has ended")));
    else Promise.resolve(send(id, () => over)).catch((error: unknown) => settle(() => reject(error)));
  });
}

const tooLargeToRead = (path: string): AppError =>
  new AppError("too_large", `${path} is larger than 256 MiB`, { hint: "Read it in ranges." });
