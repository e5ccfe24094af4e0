import { isUtf8 } from "node:buffer";
import { z } from "zod";
import { sha256 } from "../../lib/ids.ts";
import type { CallPreview } from "../../log/entry.ts";
import type { Sandbox } from "../../sandboxes/sandbox.ts";
import { formatBytes } from "../clean-text.ts";
import { defineTool } from "../define.ts";
import type { Reconciled, ToolResult } from "../tool.ts";
import { basisOf, basisOfDiff, diffText } from "./preview.ts";
import { replaceText } from "./replace-text.ts";
import { failure, missing, plural, shown } from "./workspace.ts";

const MAX_BYTES = 10 * 1_048_576;

const input = z.strictObject({
  path: z.string().min(1).describe("Relative to the workspace, or absolute in it."),
  oldText: z
    .string()
    .min(1)
    .describe(
      "The text to replace, exactly as it is in the file, with its indentation and without line numbers.",
    ),
  newText: z.string().describe("What stands there afterwards; empty to delete."),
  replaceAll: z
    .boolean()
    .optional()
    .describe("Replace every occurrence. Default false: then oldText must be unique."),
});

/**
 * Effect `reconcile`, because doing it again is not harmless: a change that adds a line after `oldText` leaves `oldText` in
 * place, and would add the line twice. So the file's digest before and after is noted under the operation id before the
 * file is changed; after a crash the file itself tells on which side of the change it stands.
 *
 * The notes lie in the workspace, where a command can forge them. That gains it nothing: what it can make the model believe
 * is about a file that it could have changed itself, in words that it could have printed. What it breaks is a lost outcome.
 */
export const editTool = defineTool({
  name: "edit",
  description: [
    "Replaces one exact piece of text in a file of the workspace.",
    "Use it for every change to a part of an existing text file; `read` the file first and copy the piece from there.",
    "`oldText` must occur exactly once: include the lines around it until it does, or set `replaceAll` to rename something everywhere.",
    "Not for new files or complete rewrites (`write`).",
  ].join("\n"),
  input,
  effect: "reconcile",

  async preview({ path, oldText, newText, replaceAll = false }, context) {
    const sandbox = await context.sandbox();
    const name = shown(sandbox, path);
    const file = await readText(sandbox, path);
    if ("failed" in file) return willFail(String(file.failed.content), basisOf(undefined));
    const replaced = replaceText(file.text, oldText, newText, { all: replaceAll });
    if (replaced.type === "refused") return willFail(`${name}: ${replaced.complaint}`, basisOf(file.bytes));
    const text = diffText(name, file.text, replaced.text);
    return { type: "diff", text, basis: basisOfDiff(text) };
  },

  async run({ path, oldText, newText, replaceAll = false }, context) {
    const sandbox = await context.sandbox();
    return inTurn(context.sessionId, async () => {
      const file = await readText(sandbox, path);
      if ("failed" in file) return file.failed;
      const replaced = replaceText(file.text, oldText, newText, { all: replaceAll });
      const name = shown(sandbox, path);
      if (replaced.type === "refused") return failure(`${name}: ${replaced.complaint}`);
      const message = `Replaced ${plural(replaced.count, "occurrence")} in ${name} (${lineList(replaced.lines)}).`;
      const after = Buffer.from(replaced.text);
      await writeNote(sandbox, context.operationId, {
        before: sha256(file.bytes),
        after: sha256(after),
        message,
      });
      context.signal.throwIfAborted();
      await sandbox.writeFile(path, after);
      return {
        content: message,
        details: { path: name, replaced: replaced.count, lines: replaced.lines.slice(0, 100) },
      };
    });
  },

  async reconcile({ path }, context) {
    const sandbox = await context.sandbox();
    const note = await readNote(sandbox, context.operationId);
    // The note is durable before the file changes.
    if (note === undefined) return { type: "notStarted" };
    const file = await sandbox.readFile(path);
    return compare(note, file === undefined ? undefined : sha256(file.bytes));
  },
});

function willFail(why: string, basis: string): CallPreview {
  return {
    type: "text",
    text: `As the file is now, this changes nothing, and the call fails: ${why}`,
    basis,
  };
}

function compare(note: Note, digest: string | undefined): Reconciled {
  if (digest === note.after) return { type: "finished", result: { content: note.message } };
  if (digest === note.before) return { type: "notStarted" };
  return { type: "lost", why: "the file has been changed by something else since" };
}

type TextFile = { readonly text: string; readonly bytes: Uint8Array } | { readonly failed: ToolResult };

async function readText(sandbox: Sandbox, path: string): Promise<TextFile> {
  const name = shown(sandbox, path);
  const stat = await sandbox.stat(path);
  if (stat === undefined) return { failed: await missing(sandbox, path) };
  if (stat.size > MAX_BYTES) {
    return {
      failed: failure(`${name} has ${formatBytes(stat.size)}, too much for edit. Use sed in the shell.`),
    };
  }
  const file = await sandbox.readFile(path);
  if (file === undefined) return { failed: await missing(sandbox, path) };
  if (!isUtf8(file.bytes) || file.bytes.includes(0)) {
    return { failed: failure(`${name} is not UTF-8 text. Change it with a program in the shell.`) };
  }
  return { text: Buffer.from(file.bytes).toString("utf8"), bytes: file.bytes };
}

function lineList(lines: readonly number[]): string {
  const shownLines = lines.slice(0, 10).join(", ");
  return `line${lines.length === 1 ? "" : "s"} ${shownLines}${lines.length > 10 ? ", ..." : ""}`;
}

// ---- one at a time ----

const turns = new Map<string, Promise<unknown>>();

/** Calls of one turn run in parallel; two edits of one file must not both start from the same text. */
async function inTurn<T>(sessionId: string, work: () => Promise<T>): Promise<T> {
  const before = turns.get(sessionId) ?? Promise.resolve();
  const mine = before.then(work, work);
  turns.set(sessionId, mine);
  try {
    return await mine;
  } finally {
    if (turns.get(sessionId) === mine) turns.delete(sessionId);
  }
}

// ---- notes ----

const noteSchema = z.object({ before: z.string(), after: z.string(), message: z.string() });
type Note = z.output<typeof noteSchema>;

const NOTES = ".holdfast/edits";
const KEPT_NOTES = 100;

const notePath = (operationId: string): string => `${NOTES}/${sha256(operationId, 32)}.json`;

async function writeNote(sandbox: Sandbox, operationId: string, note: Note): Promise<void> {
  await pruneNotes(sandbox);
  await sandbox.writeFile(notePath(operationId), Buffer.from(JSON.stringify(note)));
}

async function readNote(sandbox: Sandbox, operationId: string): Promise<Note | undefined> {
  const file = await sandbox.readFile(notePath(operationId));
  if (file === undefined) return undefined;
  return noteSchema.parse(JSON.parse(Buffer.from(file.bytes).toString()));
}

/** Only the calls of the current turn can need theirs, so when many have gathered the oldest go. */
async function pruneNotes(sandbox: Sandbox): Promise<void> {
  const notes = (await sandbox.listDirectory(NOTES)) ?? [];
  if (notes.length < KEPT_NOTES * 2) return;
  const dated = await Promise.all(
    notes.map(async ({ name }) => ({ name, at: (await sandbox.stat(`${NOTES}/${name}`))?.modifiedAt ?? 0 })),
  );
  const old = dated.sort((a, b) => b.at - a.at).slice(KEPT_NOTES);
  await Promise.all(old.map(({ name }) => sandbox.deleteFile(`${NOTES}/${name}`)));
}
