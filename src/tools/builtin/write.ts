import { z } from "zod";
import { formatBytes } from "../clean-text.ts";
import { defineTool } from "../define.ts";
import { previewOfWrite } from "./preview.ts";
import { lineCount, plural, shown } from "./workspace.ts";

export const writeTool = defineTool({
  name: "write",
  description: [
    "Writes a text file in the workspace: makes it, or replaces all that was in it. Directories on the way are made.",
    "Use it for new files and for complete rewrites.",
    "Not to change a part of a file: `edit` is shorter, and cannot lose the rest. Not for binary files: make those with `shell`.",
  ].join("\n"),
  input: z.strictObject({
    path: z.string().min(1).describe("Relative to the workspace, or absolute in it."),
    content: z.string().describe("The whole content of the file."),
  }),
  effect: "idempotent",

  async preview({ path, content }, context) {
    return previewOfWrite(await context.sandbox(), path, content);
  },

  async run({ path, content }, context) {
    const sandbox = await context.sandbox();
    const before = await sandbox.stat(path);
    const bytes = Buffer.from(content);
    await sandbox.writeFile(path, bytes);
    const name = shown(sandbox, path);
    return {
      content: `${before === undefined ? "Wrote" : "Replaced"} ${name} (${plural(lineCount(content), "line")}, ${formatBytes(bytes.length)}).`,
      details: { path: name, bytes: bytes.length, created: before === undefined },
    };
  },
});
