import { spawn } from "node:child_process";
import { once } from "node:events";
import { AppError, errorMessage } from "../lib/errors.ts";
import { parseAnswer } from "./answer.ts";
import type { HookAnswer, HookQuestion } from "./hook.ts";

/** More than any answer; a command that writes more is not answering. */
const MAX_ANSWER_BYTES = 1_048_576;

/**
 * Asks a command, run by the shell in `folder` on this machine: the question is JSON on its standard input. Exit status 0:
 * the answer is JSON on its standard output, or nothing. Exit status 2: veto, with what it said on standard error as the
 * reason. Anything else is a failure. It runs with the rights and the environment of the runtime: hooks are the operator's.
 */
export async function askCommand(
  command: string,
  folder: string,
  question: HookQuestion,
  signal: AbortSignal,
): Promise<HookAnswer> {
  // A group of its own, so that everything that it started ends with it.
  const child = spawn("/bin/sh", ["-c", command], { cwd: folder, detached: true, stdio: "pipe" });
  const kill = () => killGroup(child.pid);
  signal.addEventListener("abort", kill, { once: true });
  try {
    const stdout = readAll(child.stdout, kill);
    const stderr = readAll(child.stderr, kill);
    // A command need not read its question.
    child.stdin.on("error", () => {});
    child.stdin.end(`${JSON.stringify(question)}\n`);
    const [status] = (await once(child, "close")) as [number | null];
    return parseAnswer(answerOf(status, await stdout, await stderr), question.point);
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

async function readAll(stream: NodeJS.ReadableStream, tooMuch: () => void): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) {
      tooMuch();
      break;
    }
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks).toString("utf8");
}

function answerOf(status: number | null, stdout: string, stderr: string): unknown {
  const said = stderr.trim().slice(0, 2_000);
  if (status === 2) return { decision: "veto", ...(said === "" ? {} : { reason: said }) };
  if (status !== 0) {
    const how = status === null ? "it was killed" : `it ended with exit status ${status}`;
    throw new AppError("unavailable", said === "" ? how : `${how}: ${said}`);
  }
  const text = stdout.trim();
  return text === "" ? {} : parseJson(text);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError("invalid_input", `what it printed is not JSON: ${errorMessage(error)}`, {
      hint: "Print the answer and nothing else on standard output; remarks belong on standard error.",
    });
  }
}
