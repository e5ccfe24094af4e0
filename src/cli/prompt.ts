import { AppError } from "../lib/errors.ts";
import type { Terminal } from "./terminal.ts";

/** Above this a prompt belongs into a file of the workspace. */
const MAX_BYTES = 10 * 1_048_576;

/** The prompt as it was given, or from standard input. @throws AppError `invalid_input` when there is none. */
export async function readPrompt(given: string | undefined, { stdin }: Terminal): Promise<string> {
  const prompt = given === undefined || given === "-" ? await readStdin(given, stdin) : given;
  if (prompt.trim() !== "") return prompt;
  throw new AppError("invalid_input", "the prompt is empty", { hint: promptHint });
}

const promptHint = 'Write it in quotes, or pipe it in: echo "..." | holdfast run -';

async function readStdin(given: string | undefined, stdin: Terminal["stdin"]): Promise<string> {
  if (given === undefined && stdin.isTTY === true) {
    throw new AppError("invalid_input", "what is there to do?", { hint: promptHint });
  }
  const bytes = await readAll(stdin, MAX_BYTES);
  if (bytes !== undefined) return bytes.toString("utf8");
  throw new AppError("too_large", "the prompt is over 10 MiB", {
    hint: "Put the content into a file: pass it with --file and name it in the prompt.",
  });
}

/** All that a stream has, or undefined when it is more than `limit` bytes. */
export async function readAll(stream: Terminal["stdin"], limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > limit) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
