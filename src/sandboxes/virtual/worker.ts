import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { systemErrorCode } from "../../lib/errors.ts";
import { runCommand } from "./interpreter.ts";
import { OUT_OF_MEMORY, type WorkerSetup } from "./protocol.ts";

/**
 * The process in which commands of the sandbox `virtual` run. For a release it is bundled with its dependency
 * (`scripts/bundle-virtual.ts`).
 *
 * A process, because a command that fills memory can take the whole process with it. And in it a thread, because the
 * interpreter can block for ever: the main thread stays free to notice that the runtime has gone.
 */
if (isMainThread) supervise(JSON.parse(process.argv[2] ?? "{}"));
else interpret(workerData);

function supervise(setup: WorkerSetup): void {
  const thread = new Worker(new URL(import.meta.url), {
    workerData: setup,
    resourceLimits: { maxOldGenerationSizeMb: setup.memoryMegabytes },
    stdout: true,
    stderr: true,
  });
  process.on("message", (command) => thread.postMessage(command));
  process.on("disconnect", () => process.exit(0));
  thread.on("message", (ended) => process.send?.(ended));
  thread.on("error", (error) => {
    process.exit(systemErrorCode(error) === "ERR_WORKER_OUT_OF_MEMORY" ? OUT_OF_MEMORY : 1);
  });
}

function interpret(setup: WorkerSetup): void {
  // What the interpreter leaves unhandled belongs to a command that has ended otherwise.
  process.on("unhandledRejection", () => undefined);
  parentPort?.on("message", async (command) => {
    parentPort?.postMessage(await runCommand(setup, command));
  });
}
