import { z } from "zod";
import type { DirectoryEntry } from "../../sandboxes/sandbox.ts";
import { formatBytes } from "../clean-text.ts";
import { defineTool } from "../define.ts";
import { failure, missing, plural, shown } from "./workspace.ts";

const MAX_ENTRIES = 1000;

export const listTool = defineTool({
  name: "list",
  description: [
    "Lists one directory of the workspace: its directories (with a slash at the end), then its files with their sizes.",
    "Use it to see what is there before you choose what to read.",
    "Not to find files by name at any depth (`glob`), nor by content (`grep`).",
  ].join("\n"),
  input: z.strictObject({
    path: z.string().min(1).optional().describe("A directory. Default: the workspace itself."),
  }),
  effect: "readonly",

  async run({ path = "." }, context) {
    const sandbox = await context.sandbox();
    const name = shown(sandbox, path);
    const stat = await sandbox.stat(path);
    if (stat === undefined) return missing(sandbox, path);
    if (stat.type !== "directory") return failure(`${name} is a file, not a directory. Use read.`);
    const entries = (await sandbox.listDirectory(path)) ?? [];
    const details = { path: name, entries: entries.length };
    if (entries.length === 0) return { content: `${name} is empty.`, details };
    const isDirectory = (entry: DirectoryEntry) => entry.type === "directory";
    const ordered = [...entries.filter(isDirectory), ...entries.filter((entry) => !isDirectory(entry))];
    const lines = ordered.slice(0, MAX_ENTRIES).map(describe);
    const more = entries.length - lines.length;
    if (more > 0)
      lines.push(`[${plural(more, "more entry").replace("entrys", "entries")}; narrow it down with glob]`);
    return { content: lines.join("\n"), details };
  },
});

function describe({ name, type, size }: DirectoryEntry): string {
  switch (type) {
    case "directory":
      return `${name}/`;
    case "file":
      return `${name}  ${formatBytes(size)}`;
    case "symlink":
      return `${name}  (symbolic link)`;
    case "other":
      return `${name}  (no regular file)`;
  }
}
