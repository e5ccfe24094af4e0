import { estimateText } from "../../context/estimate.ts";
import type { RestoredFile } from "../../context/summary.ts";
import type { Sandbox } from "../../sandboxes/sandbox.ts";
import { textCleaner } from "../../tools/clean-text.ts";

/** How many files are put back, the most recently used ones. */
const FILES = 5;
/** Of all of them together, and of one: so many tokens, or this share of the window. */
const ALL = { tokens: 16_000, share: 0.1 };
const ONE = { tokens: 5_000, share: 0.04 };
const BYTES_PER_TOKEN = 4;

/**
 * Files as they are now, as far as they exist, are text and fit. Never rejects: what cannot be read is not put back, and
 * the model reads it where it needs it. `limit`: tokens that a request may have.
 */
export async function restoreFiles(
  paths: readonly string[],
  open: () => Promise<Pick<Sandbox, "root" | "readFile">>,
  limit: number,
): Promise<readonly RestoredFile[]> {
  if (paths.length === 0) return [];
  const sandbox = await open().catch(() => undefined);
  if (sandbox === undefined) return [];
  const wanted = [...new Set(paths.map((path) => inWorkspace(path, sandbox.root)))].slice(0, FILES);
  const bytes = Math.floor(Math.min(ONE.tokens, ONE.share * limit) * BYTES_PER_TOKEN);
  let room = Math.min(ALL.tokens, ALL.share * limit);
  const restored: RestoredFile[] = [];
  for (const path of wanted) {
    const file = await readStart(sandbox, path, bytes);
    if (file === undefined) continue;
    room -= estimateText(file.text);
    if (room < 0) break;
    restored.push(file);
  }
  return restored;
}

/** One name for one file: "./a", "/workspace/a" and "a" are the same. */
function inWorkspace(path: string, root: string): string {
  const inside = path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
  return inside.replace(/^(?:\.\/+)+/, "");
}

async function readStart(
  sandbox: Pick<Sandbox, "readFile">,
  path: string,
  length: number,
): Promise<RestoredFile | undefined> {
  const content = await sandbox.readFile(path, { offset: 0, length }).catch(() => undefined);
  if (content === undefined || content.size === 0 || content.bytes.includes(0)) return undefined;
  // Not ended where the file goes on: a character that was cut through is held back.
  const cleaner = textCleaner();
  const isCut = content.size > content.bytes.length;
  const text = cleaner.push(content.bytes) + (isCut ? "" : cleaner.end());
  return { path, text: text.trimEnd(), isCut };
}
