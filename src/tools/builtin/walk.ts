import type { DirectoryEntry, Sandbox } from "../../sandboxes/sandbox.ts";
import { below } from "./workspace.ts";

export interface Walked {
  /** Relative to the directory where the walk began. */
  readonly path: string;
  readonly entry: DirectoryEntry;
}

export interface WalkOptions {
  /** Whether to go into a directory of this name. */
  enters(name: string): boolean;
  /** Directories at most; the walk ends there. */
  readonly maxDirectories: number;
  readonly signal: AbortSignal;
}

/** Directories that hold what others have made; what is searched for is hardly ever there. */
export const usuallySkipped: ReadonlySet<string> = new Set([
  ".git",
  "node_modules",
  ".holdfast",
  "__pycache__",
  ".venv",
]);

const AT_ONCE = 16;

/**
 * Everything below a directory, breadth first, without following symbolic links.
 * @returns whether all of it was seen.
 */
export async function* walk(
  sandbox: Sandbox,
  directory: string,
  options: WalkOptions,
): AsyncGenerator<Walked, boolean> {
  const queue: string[] = [""];
  for (let visited = 0; queue.length > 0; ) {
    options.signal.throwIfAborted();
    const batch = queue.splice(0, AT_ONCE);
    visited += batch.length;
    if (visited > options.maxDirectories) return false;
    const listings = await Promise.all(batch.map((path) => sandbox.listDirectory(below(directory, path))));
    for (const [i, entries] of listings.entries()) {
      for (const entry of entries ?? []) {
        const path = below(batch[i] ?? "", entry.name);
        yield { path, entry };
        if (entry.type === "directory" && options.enters(entry.name)) queue.push(path);
      }
    }
  }
  return true;
}
