import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type CommandEnded, OUT_OF_MEMORY, type RunCommand, type WorkerSetup } from "./protocol.ts";

/** A process that runs one command at a time. */
export interface BashWorker {
  /** Rejects when the process ended first: by `end`, or because the command needed more memory than it may. */
  run(command: RunCommand): Promise<CommandEnded>;
  /** Ends the process, whatever it does. Resolves when it is gone. */
  end(): Promise<void>;
}

/** The processes of one session. Starting one takes a while, so one is kept for the next command. */
export interface WorkerPool {
  take(): BashWorker;
  /** Only after a command that ended by itself. */
  giveBack(worker: BashWorker): void;
  close(): Promise<void>;
}

/** An idle process holds tens of megabytes, so it goes when the session pauses. */
const IDLE_MS = 60_000;

export function workerPool(start: () => BashWorker): WorkerPool {
  let idle: BashWorker | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const takeIdle = () => {
    const taken = idle;
    idle = undefined;
    clearTimeout(timer);
    return taken;
  };

  return {
    take: () => takeIdle() ?? start(),
    giveBack(worker) {
      if (closed || idle !== undefined) {
        void worker.end();
        return;
      }
      idle = worker;
      timer = setTimeout(() => void takeIdle()?.end(), IDLE_MS).unref();
    },
    async close() {
      closed = true;
      await takeIdle()?.end();
    },
  };
}

export function startWorker(setup: WorkerSetup): BashWorker {
  // Beside this file: as source, or bundled with its dependency in a release.
  const file = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js";
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(setup)], {
    // Commands must not see the runtime's environment, which may hold keys.
    env: {},
    execArgv: [],
    cwd: "/",
    serialization: "advanced",
    // What the interpreter prints on the side is nobody's output.
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const exited = new Promise<Error>((resolve) => {
    child.once("error", resolve);
    child.once("exit", (code, signal) => resolve(new Error(whyEnded(code, signal, setup))));
  });
  let ending = false;
  // An idle worker does not keep the runtime alive; it goes when the runtime goes. One that is being ended does until it has gone.
  const keepAlive = (on: boolean) => {
    if (ending) return;
    child[on ? "ref" : "unref"]();
    child.channel?.[on ? "ref" : "unref"]();
  };
  keepAlive(false);

  return {
    async run(command) {
      const waiting = new AbortController();
      keepAlive(true);
      try {
        const answer = once(child, "message", { signal: waiting.signal });
        const lost = exited.then((error) => Promise.reject(error));
        child.send(command, () => undefined);
        const [ended] = await Promise.race([answer, lost]);
        return ended;
      } finally {
        waiting.abort();
        keepAlive(false);
      }
    },
    async end() {
      keepAlive(true);
      ending = true;
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function whyEnded(code: number | null, signal: string | null, { memoryMegabytes }: WorkerSetup): string {
  // V8 aborts when it cannot stop the thread in time.
  if (code === OUT_OF_MEMORY || signal === "SIGABRT") return `out of memory (limit ${memoryMegabytes} MB)`;
  return signal === null
    ? `the interpreter ended with status ${code}`
    : `the interpreter was ended by ${signal}`;
}
