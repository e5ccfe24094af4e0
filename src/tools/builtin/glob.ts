import { z } from "zod";
import { globPattern } from "../../lib/glob.ts";
import { defineTool } from "../define.ts";
import { usuallySkipped, type Walked, walk } from "./walk.ts";
import { below, failure, missing, plural, shown } from "./workspace.ts";

const MAX_PATHS = 500;
const MAX_DIRECTORIES = 20_000;

export const globTool = defineTool({
  name: "glob",
  description: [
    "Finds files of the workspace by their names, at any depth, for example `**/*.csv`, `src/**/test_*.py` or `*.{png,svg}`.",
    "Use it when you know what a file is called but not where it is.",
    "Not for what files contain (`grep`), nor for one known directory (`list`).",
    `It skips ${[...usuallySkipped].join(", ")} unless the pattern names them.`,
  ].join("\n"),
  input: z.strictObject({
    pattern: z
      .string()
      .min(1)
      .describe(
        "`*` and `?` within a name, `**` over directories, `[a-z]`, `{a,b}`. Without a slash: any depth.",
      ),
    path: z.string().min(1).optional().describe("The directory to search. Default: the whole workspace."),
  }),
  effect: "readonly",

  async run({ pattern, path = "." }, context) {
    const sandbox = await context.sandbox();
    const name = shown(sandbox, path);
    const stat = await sandbox.stat(path);
    if (stat === undefined) return missing(sandbox, path);
    if (stat.type !== "directory") return failure(`${name} is a file, not a directory.`);
    const glob = globPattern(pattern);
    const walking = walk(sandbox, name, {
      enters: (directory) => !usuallySkipped.has(directory) || glob.names(directory),
      maxDirectories: MAX_DIRECTORIES,
      signal: context.signal,
    });
    const { matches, isComplete } = await collect(walking, glob.matches);
    const paths = matches.map((match) => below(name, match)).sort();
    return { content: describe(paths, pattern, isComplete), details: { matches: paths.length } };
  },
});

async function collect(walking: AsyncGenerator<Walked, boolean>, matches: (path: string) => boolean) {
  const found: string[] = [];
  for (;;) {
    const next = await walking.next();
    if (next.done) return { matches: found, isComplete: next.value };
    const { path, entry } = next.value;
    if (entry.type !== "directory" && matches(path)) found.push(path);
  }
}

function describe(paths: readonly string[], pattern: string, isComplete: boolean): string {
  const lines = paths.slice(0, MAX_PATHS);
  if (paths.length > MAX_PATHS)
    lines.push(`[${plural(paths.length - MAX_PATHS, "more file")}; use a narrower pattern]`);
  if (!isComplete)
    lines.push(`[stopped after ${MAX_DIRECTORIES} directories; search a part of the workspace]`);
  return lines.length > 0 ? lines.join("\n") : `No file matches ${pattern}.`;
}
