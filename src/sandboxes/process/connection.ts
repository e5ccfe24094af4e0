import { closeSync, constants, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { AppError } from "../../lib/errors.ts";
import {
  answer,
  createFrameDecoder,
  encodeFrame,
  type Frame,
  PROTOCOL_VERSION,
  readFields,
} from "./frames.ts";

/** Frames to and from one agent. Answers go to the handler that was registered for their id. */
export interface Connection extends Disposable {
  /** Registers who gets the answers to a new request, and returns its id. */
  request(handler: AnswerHandler): number;
  /** No more answers are wanted for this id. */
  forget(id: number): void;
  send(type: number, id: number, payload?: Uint8Array): void;
  /** Resolves when what was sent is on its way, so that a large request does not pile up. */
  drained(): Promise<void>;
  readonly open: boolean;
}

export interface AnswerHandler {
  /** Must not throw. */
  onFrame(frame: Frame): void;
  /** The connection has ended; nothing else will come. Must not throw. */
  onClose(error: AppError): void;
}

const READY_WITHIN_MS = 10_000;

/**
 * Connects to the socket `name` in a directory and waits until the agent says that it is ready. Undefined when nobody
 * listens there. @throws AppError `unavailable` when the agent ends first or speaks another version.
 */
export async function connectAgent(directory: string, name: string): Promise<Connection | undefined> {
  const socket = await openSocket(directory, name);
  if (socket === undefined) return undefined;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => end(new AppError("unavailable", "the sandbox did not answer in time")),
      READY_WITHIN_MS,
    );
    const connection = overSocket(socket, (frame) => {
      clearTimeout(timer);
      const problem = checkVersion(frame);
      if (problem) end(problem);
      else resolve(connection);
    });
    const end = (error: AppError) => {
      socket.destroy();
      reject(error);
    };
    socket.once("close", () => {
      clearTimeout(timer);
      reject(new AppError("unavailable", "the sandbox ended before it was ready"));
    });
  });
}

function checkVersion(frame: Frame): AppError | undefined {
  const version =
    frame.type === answer.ready && frame.payload.length >= 4 ? readFields(frame.payload).u32() : 0;
  if (version === PROTOCOL_VERSION) return undefined;
  return new AppError("unavailable", `the sandbox speaks protocol ${version}, not ${PROTOCOL_VERSION}`, {
    hint: "It was started by another release. Destroy it, or finish its commands with that release.",
  });
}

/**
 * A socket's address holds about 100 bytes, paths of state directories may be longer: so the directory is opened and the
 * socket is named through its descriptor.
 */
function openSocket(directory: string, name: string): Promise<Socket | undefined> {
  let fd: number;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return Promise.resolve(undefined);
  }
  return new Promise((resolve) => {
    const socket = connect(`/proc/self/fd/${fd}/${name}`);
    const settle = (result: Socket | undefined) => {
      closeSync(fd);
      resolve(result);
    };
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      settle(socket);
    });
    socket.once("error", () => settle(undefined));
  });
}

function overSocket(socket: Socket, onReady: (frame: Frame) => void): Connection {
  const handlers = new Map<number, AnswerHandler>();
  const decoder = createFrameDecoder();
  let lastId = 0;
  let ready = false;
  let open = true;

  const dispatch = (frame: Frame) => {
    if (ready) {
      handlers.get(frame.id)?.onFrame(frame);
    } else {
      ready = true;
      onReady(frame);
    }
  };
  socket.on("data", (bytes: Uint8Array) => {
    try {
      for (const frame of decoder.push(bytes)) dispatch(frame);
    } catch {
      socket.destroy();
    }
  });
  // Always followed by "close", which is where the loss is handled.
  socket.on("error", () => {});
  socket.on("close", () => {
    open = false;
    const gone = [...handlers.values()];
    handlers.clear();
    for (const handler of gone) handler.onClose(new AppError("unavailable", "the sandbox has ended"));
  });
  // The owner of an execution keeps the process alive, not the socket.
  return {
    get open() {
      return open;
    },
    request(handler) {
      lastId = lastId >= 0xffff_fffe ? 1 : lastId + 1;
      handlers.set(lastId, handler);
      return lastId;
    },
    forget: (id) => {
      handlers.delete(id);
    },
    send(type, id, payload) {
      if (open) socket.write(encodeFrame(type, id, payload));
    },
    drained: () =>
      open && socket.writableNeedDrain
        ? new Promise((resolve) => {
            const settle = () => {
              socket.off("drain", settle);
              socket.off("close", settle);
              resolve();
            };
            socket.on("drain", settle);
            socket.on("close", settle);
          })
        : Promise.resolve(),
    [Symbol.dispose]() {
      open = false;
      socket.end();
      socket.destroySoon();
    },
  };
}
