import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorMessage } from "../../lib/errors.ts";
import { canonicalJson } from "../../lib/json.ts";
import { jsonText } from "../printable.ts";
import { oneLine } from "../render/plain.ts";
import type { Terminal } from "../terminal.ts";
import type { Dialogue } from "./dialogue.ts";

/**
 * Lets a person change the arguments of a call: in their editor ($VISUAL, $EDITOR), or else as a line of JSON. Null when nothing was
 * changed, or what they wrote is no JSON.
 */
export async function editArguments(
  input: unknown,
  { ask, say, terminal }: Dialogue,
): Promise<{ readonly value: unknown } | null> {
  const editor = terminal.env.VISUAL || terminal.env.EDITOR;
  let text: string | null;
  if (editor) text = await inEditor(editor, jsonText(input, 2), terminal, say);
  else {
    say(jsonText(input));
    text = await ask("The arguments, as one line of JSON: ");
  }
  if (text === null || text.trim() === "") return null;
  try {
    const value: unknown = JSON.parse(text);
    if (canonicalJson(value) !== canonicalJson(input)) return { value };
    say("Nothing was changed.");
  } catch (error) {
    say(`That is not JSON: ${oneLine(errorMessage(error))}`);
  }
  return null;
}

/** Null when the editor could not be used. */
async function inEditor(
  editor: string,
  text: string,
  { env }: Terminal,
  say: (line: string) => void,
): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-edit-"));
  try {
    const file = join(folder, "arguments.json");
    await writeFile(file, `${text}\n`, { mode: 0o600 });
    const exitCode = await run(editor, file, env);
    if (exitCode === 0) return await readFile(file, "utf8");
    say(`The editor (${oneLine(editor)}) ended with ${exitCode ?? "a signal"}: nothing was changed.`);
    return null;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The setting may hold arguments, as "code --wait" does. */
function run(editor: string, file: string, env: Terminal["env"]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit", env: { ...env } });
    child.once("error", reject);
    child.once("close", resolve);
  });
}
