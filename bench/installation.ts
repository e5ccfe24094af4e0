import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { median } from "./measure.ts";

const execute = promisify(execFile);
const repository = fileURLToPath(new URL("..", import.meta.url));

/** Builds and packs Holdfast, installs it as a user would, and looks at what came of it. */
export async function measureInstallation(): Promise<{
  readonly megabytes: number;
  readonly helpMs: number;
}> {
  const directory = await mkdtemp(join(tmpdir(), "holdfast-install-"));
  try {
    await npm(repository, "run", "build");
    const packed = await npm(
      repository,
      "pack",
      "--json",
      "--ignore-scripts",
      "--pack-destination",
      directory,
    );
    await writeFile(join(directory, "package.json"), '{"private": true}');
    await npm(
      directory,
      "install",
      "--omit=dev",
      "--no-audit",
      "--no-fund",
      join(directory, fileNameOf(packed)),
    );
    const modules = join(directory, "node_modules");
    return {
      megabytes: (await sizeOf(modules)) / 1e6,
      helpMs: timeHelp(join(modules, "holdfast", "dist", "cli", "main.js")),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function timeHelp(program: string): number {
  const times = Array.from({ length: 15 }, () => {
    const startedAt = performance.now();
    const { status, stderr } = spawnSync(process.execPath, [program, "--help"], { encoding: "utf8" });
    if (status !== 0) throw new Error(`holdfast --help: ${stderr}`);
    return performance.now() - startedAt;
  });
  return median(times);
}

async function npm(cwd: string, ...args: readonly string[]): Promise<string> {
  try {
    return (await execute("npm", args, { cwd, maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    const said = error instanceof Error && "stdout" in error ? String(error.stdout).trim() : String(error);
    throw new Error(`npm ${args.join(" ")}: ${said.slice(-1_000)}`, { cause: error });
  }
}

/** npm 12 answers with an object by package, older ones with a list. */
function fileNameOf(packed: string): string {
  const answer: unknown = JSON.parse(packed);
  const [first] = Object.values(answer as Record<string, { readonly filename: string }>);
  if (first === undefined) throw new Error("npm pack made nothing");
  return first.filename;
}

/** What the disk holds, in blocks: many small files take more than they say. */
async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).blocks * 512;
  }
  return bytes;
}
