import { execFile } from "node:child_process";
import { access, constants, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { AppError, errorMessage } from "../../lib/errors.ts";
import { newId, sha256 } from "../../lib/ids.ts";

const SOURCES = fileURLToPath(new URL("../../../native/agent/", import.meta.url));
const BUILT = fileURLToPath(new URL("../../../native/build/", import.meta.url));
const NAME = "holdfast-agent";

const FLAGS = [
  "-static",
  "-std=gnu11",
  "-D_GNU_SOURCE",
  "-Os",
  "-Wall",
  "-Wextra",
  "-Werror",
  ...["-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now", "-s"],
];
/** The smaller binary first. */
const COMPILERS = ["musl-gcc", "cc"];

/**
 * The path of the agent for this machine, built when its sources have changed since. `fallbackDirectory` is used when the
 * package's own directory cannot be written. @throws AppError `unavailable` when there is none and no compiler either.
 */
export async function buildAgent(fallbackDirectory?: string): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const files = (await readdir(SOURCES)).sort();
  const contents = await Promise.all(files.map((file) => readFile(join(SOURCES, file))));
  const hash = sha256(Buffer.concat([Buffer.from(FLAGS.join(" ")), ...contents]));
  const targets = [BUILT, fallbackDirectory].filter((directory) => directory !== undefined);
  for (const directory of targets) {
    const binary = join(directory, platform, NAME);
    if (await isBuiltFrom(binary, hash)) return binary;
  }
  const sources = files.filter((file) => file.endsWith(".c")).map((file) => join(SOURCES, file));
  return compileInto(await writable(targets, platform), sources, hash);
}

async function isBuiltFrom(binary: string, hash: string): Promise<boolean> {
  const built = await readFile(`${binary}.sha256`, "utf8").catch(() => "");
  if (built.trim() !== hash) return false;
  return access(binary, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function writable(directories: readonly string[], platform: string): Promise<string> {
  let problem: unknown;
  for (const directory of directories) {
    try {
      await mkdir(join(directory, platform), { recursive: true });
      await access(join(directory, platform), constants.W_OK);
      return join(directory, platform);
    } catch (error) {
      problem = error;
    }
  }
  throw new AppError("unavailable", `there is no place to build the agent: ${errorMessage(problem)}`);
}

/** Built beside its place and moved there, so that two builds at once, or a running agent, do no harm. */
async function compileInto(directory: string, sources: readonly string[], hash: string): Promise<string> {
  const binary = join(directory, NAME);
  const unfinished = `${binary}.${newId("build")}`;
  try {
    await compile(sources, unfinished);
    await rename(unfinished, binary);
  } finally {
    await rm(unfinished, { force: true });
  }
  await writeFile(`${binary}.sha256`, `${hash}\n`);
  return binary;
}

async function compile(sources: readonly string[], output: string): Promise<void> {
  let problem: unknown;
  for (const compiler of COMPILERS) {
    try {
      await promisify(execFile)(compiler, [...FLAGS, "-o", output, ...sources]);
      return;
    } catch (error) {
      problem ??= error;
    }
  }
  throw new AppError("unavailable", `the sandbox's agent cannot be built: ${firstLine(problem)}`, {
    hint: "apt-get install musl-tools",
    cause: problem,
  });
}

const firstLine = (error: unknown): string => errorMessage(error).split("\n")[0] ?? "";
