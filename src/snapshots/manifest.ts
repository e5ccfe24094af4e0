import { z } from "zod";
import { AppError } from "../lib/errors.ts";
import type { Manifest, ManifestEntry } from "./snapshot.ts";

/** The text whose SHA-256 is the snapshot's id: JSON without spaces, keys in alphabetical order. @pure */
export function encodeManifest({ entries, maxFileSize, partial, skipped }: Manifest): string {
  return JSON.stringify({ entries: entries.map(inOrder), maxFileSize, partial, skipped, version: 1 });
}

function inOrder(entry: ManifestEntry): ManifestEntry {
  switch (entry.type) {
    case "file": {
      const { hash, mode, path, size, type } = entry;
      return { hash, mode, path, size, type };
    }
    case "link": {
      const { path, target, type } = entry;
      return { path, target, type };
    }
    case "directory": {
      const { mode, path, type } = entry;
      return { mode, path, type };
    }
  }
}

const path = z.string().refine(isPlainPath, { error: "leads elsewhere" });
const mode = z.int().min(0).max(0o777);

const schema = z.strictObject({
  version: z.literal(1),
  entries: z.array(
    z.discriminatedUnion("type", [
      z.strictObject({
        type: z.literal("file"),
        path,
        mode,
        size: z.int().min(0),
        hash: z.string().regex(/^[0-9a-f]{64}$/),
      }),
      z.strictObject({
        type: z.literal("link"),
        path,
        target: z
          .string()
          .min(1)
          .refine((target) => !target.includes("\0")),
      }),
      z.strictObject({ type: z.literal("directory"), path, mode }),
    ]),
  ),
  skipped: z.array(path),
  maxFileSize: z.int().min(0),
  partial: z.boolean(),
});

/**
 * Takes nothing for granted: a manifest may come from another machine.
 * @throws AppError `invalid_input` that says what is wrong with it
 */
export function parseManifest(value: unknown): Manifest {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue === undefined ? "" : ` (${issue.path.join(".")}: ${issue.message})`;
    throw new AppError("invalid_input", `this is no manifest of a snapshot${where}`);
  }
  const problem = problemOf(parsed.data.entries);
  if (problem !== null) throw new AppError("invalid_input", `this is no manifest of a snapshot: ${problem}`);
  return parsed.data;
}

/** A relative path that leads into the directory that it is relative to, and is written in the one shortest way. */
export function isPlainPath(path: string): boolean {
  if (path.includes("\0") || Buffer.byteLength(path) > MAX_PATH) return false;
  return path.split("/").every((name) => name !== "" && name !== "." && name !== "..");
}

/** Of Linux; longer ones cannot be made. */
const MAX_PATH = 4_096;

function problemOf(entries: readonly ManifestEntry[]): string | null {
  const paths = new Set<string>();
  let last = "";
  for (const { path } of entries) {
    if (path <= last) return `${JSON.stringify(path)} stands in the wrong place`;
    paths.add(path);
    last = path;
  }
  for (const path of paths) {
    const parent = parentsOf(path).find((parent) => paths.has(parent));
    if (parent !== undefined)
      return `${JSON.stringify(path)} is below ${JSON.stringify(parent)}, which is no directory with content`;
  }
  return null;
}

/** "a/b/c" is in "a/b" and "a". */
export function parentsOf(path: string): readonly string[] {
  const parents: string[] = [];
  for (let cut = path.lastIndexOf("/"); cut > 0; cut = path.lastIndexOf("/", cut - 1))
    parents.push(path.slice(0, cut));
  return parents;
}

/** How many entries differ. @pure */
export function compareManifests(
  before: readonly ManifestEntry[],
  after: readonly ManifestEntry[],
): { readonly added: number; readonly changed: number; readonly removed: number } {
  const known = new Map(before.map((entry) => [entry.path, entry]));
  let added = 0;
  let changed = 0;
  for (const entry of after) {
    const old = known.get(entry.path);
    if (old === undefined) added += 1;
    else if (!isSame(old, entry)) changed += 1;
  }
  return { added, changed, removed: before.length + added - after.length };
}

export function isSame(a: ManifestEntry, b: ManifestEntry): boolean {
  return JSON.stringify(inOrder(a)) === JSON.stringify(inOrder(b));
}
