import { isUtf8 } from "node:buffer";
import { sha256 } from "../../lib/ids.ts";
import { unifiedDiff } from "../../lib/unified-diff.ts";
import type { CallPreview } from "../../log/entry.ts";
import type { Sandbox } from "../../sandboxes/sandbox.ts";
import { formatBytes } from "../clean-text.ts";
import { lineCount, plural, shown } from "./workspace.ts";

/** Larger files are told by their size; their diff would take long, and nobody would read it. */
const MAX_DIFF_BYTES = 1_048_576;
/** Up to here a file is known by its content, and beyond by size and time. */
const MAX_HASH_BYTES = 16 * 1_048_576;
/** As much as a person is shown of one call. */
const MAX_LINES = 1_000;

/** What a call that writes a whole file would change. */
export async function previewOfWrite(sandbox: Sandbox, path: string, content: string): Promise<CallPreview> {
  const name = shown(sandbox, path);
  const now = await fileNow(sandbox, path);
  const bytes = Buffer.byteLength(content);
  if (now.text !== undefined && bytes <= MAX_DIFF_BYTES) {
    return { type: "diff", text: diffText(name, now.text, content), basis: now.basis };
  }
  const after = `${plural(lineCount(content), "line")}, ${formatBytes(bytes)}`;
  const text =
    now.text === null
      ? `Makes ${name} (${after}).`
      : `Replaces ${name}${now.what === undefined ? "" : `, which is ${now.what},`} by other content (${after}).`;
  return { type: "text", text, basis: now.basis };
}

/** A diff as a person is shown it: what is too much of it is left out, and that is said. */
export function diffText(name: string, before: string | null, after: string): string {
  const diff = unifiedDiff(name, before, after);
  if (diff === "") return `${name} has exactly this content already: nothing changes.`;
  const lines = diff.split("\n");
  if (lines.length <= MAX_LINES) return diff;
  const more = plural(lines.length - MAX_LINES, "line");
  return `${lines.slice(0, MAX_LINES).join("\n")}\n[... ${more} more of this diff]`;
}

/** Of what a call is about to change. */
export function basisOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "absent" : sha256(bytes, 32);
}

/**
 * Of a call that changes places in a file: those places with the lines around them, wherever they stand. So of two changes of one
 * file that a person has approved the first does not make the second another one.
 */
export function basisOfDiff(diff: string): string {
  return sha256(diff.replaceAll(/^@@ .* @@.*$/gm, "@@"), 32);
}

interface FileNow {
  /** Null: there is no file. Undefined: it cannot be shown as text, and `what` says why. */
  readonly text: string | null | undefined;
  readonly what?: string;
  readonly basis: string;
}

async function fileNow(sandbox: Sandbox, path: string): Promise<FileNow> {
  const stat = await sandbox.stat(path);
  if (stat === undefined) return { text: null, basis: basisOf(undefined) };
  const size = formatBytes(stat.size);
  if (stat.size > MAX_HASH_BYTES) {
    return { text: undefined, what: `large (${size})`, basis: `${stat.size} ${stat.modifiedAt}` };
  }
  const bytes = (await sandbox.readFile(path))?.bytes;
  if (bytes === undefined) return { text: null, basis: basisOf(undefined) };
  const basis = basisOf(bytes);
  if (bytes.length > MAX_DIFF_BYTES) return { text: undefined, what: `large (${size})`, basis };
  if (!isUtf8(bytes) || bytes.includes(0)) return { text: undefined, what: `not text (${size})`, basis };
  return { text: Buffer.from(bytes).toString("utf8"), basis };
}
