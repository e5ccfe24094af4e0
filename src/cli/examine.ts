import { access, constants, mkdtemp, rm } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { providers } from "../agents/providers.ts";
import { dataDirOf, type Environment, keyVariablesOf, readConfig } from "../config.ts";
import { errorMessage } from "../lib/errors.ts";
import type { SandboxCapabilities, SandboxDriver, SandboxProbe } from "../sandboxes/sandbox.ts";

/** One thing about this machine. */
export interface Check {
  /** Stable; what programs look for. */
  readonly name: string;
  /** `missing`: agents run without it, less well. `failed`: agents cannot run. */
  readonly status: "ok" | "missing" | "failed";
  /** For people; never a secret. */
  readonly finding: string;
  /** The one command or setting that would change it. */
  readonly fix: string | null;
}

export interface ExamineOptions {
  readonly dataDir?: string | undefined;
  readonly cwd: string;
  readonly env: Environment;
}

/** Finds out what this machine has, by trying. Leaves nothing behind. */
export async function examine({ dataDir, cwd, env }: ExamineOptions): Promise<readonly Check[]> {
  const config = readConfig(dataDir === undefined ? {} : { dataDir: resolve(cwd, dataDir) }, env);
  const [sandboxes, store, search] = await Promise.all([
    import("../provide-sandboxes.ts").then(async ({ sandboxDrivers }) =>
      checkSandboxes(await sandboxDrivers()),
    ),
    checkStore(dataDirOf(config, join(cwd, "harness.json"))),
    checkSearch(env),
  ]);
  const warnings = config.warnings.map(
    (finding): Check => ({ name: "settings", status: "missing", finding, fix: null }),
  );
  return [checkNode(), ...sandboxes, store, ...checkKeys(config.models), search, ...warnings];
}

function checkNode(): Check {
  return { name: "node", status: "ok", finding: `Node ${process.versions.node}`, fix: null };
}

/**
 * Takes the drivers in the order in which `isolation: "auto"` prefers them, and disposes of them. Agents need one that it may
 * choose; `none` is never chosen by itself.
 */
export async function checkSandboxes(drivers: readonly SandboxDriver[]): Promise<readonly Check[]> {
  const probes = await Promise.all(drivers.map((driver) => driver.probe()));
  await Promise.all(drivers.map((driver) => driver[Symbol.asyncDispose]()));
  const chosen = probes.find(({ kind, available }) => available && kind !== "none")?.kind;
  return probes.map((probe) => ({
    name: `sandbox ${probe.kind}`,
    status: probe.available ? "ok" : chosen === undefined ? "failed" : "missing",
    finding: describeProbe(probe, chosen),
    fix: probe.problem?.fix ?? null,
  }));
}

function describeProbe(
  { kind, available, problem, capabilities }: SandboxProbe,
  chosen: string | undefined,
): string {
  if (!available) return problem?.reason ?? "not available";
  const what = describeCapabilities(capabilities);
  if (kind === chosen) return `${what}; used unless harness.json says otherwise`;
  return kind === "none" ? `${what}; used only where harness.json asks for it` : what;
}

function describeCapabilities({ isolation, limits, network, realPrograms }: SandboxCapabilities): string {
  const separation = {
    namespaces: "separated from this machine by namespaces",
    interpreter: "a shell written in TypeScript",
    none: "no separation from this machine",
  }[isolation];
  const enforced = Object.entries(limits).flatMap(([name, degree]) => (degree === "none" ? [] : [name]));
  return [
    separation,
    realPrograms ? "runs real programs" : "runs no real programs",
    network === "none" ? "no network" : "network of this machine",
    enforced.length === 0 ? "no limits" : `limits: ${enforced.join(", ")}`,
  ].join(", ");
}

/** Opens a database where the real one would be, since only that tells what the file system can do. */
export async function checkStore(dataDir: string): Promise<Check> {
  const name = "store";
  const parent = await nearestExisting(dataDir);
  let trial: string | undefined;
  try {
    trial = await mkdtemp(join(parent, ".holdfast-doctor-"));
    const mode = await journalMode(join(trial, "trial.db"));
    if (mode === "wal")
      return { name, status: "ok", finding: `${dataDir} is writable, journal mode WAL`, fix: null };
    const finding = `the file system of ${dataDir} has no write-ahead log (journal mode "${mode}")`;
    return {
      name,
      status: "failed",
      finding,
      fix: "Choose a local disk with --data-dir or HOLDFAST_DATA_DIR.",
    };
  } catch (error) {
    const finding = `${dataDir} cannot be used: ${errorMessage(error)}`;
    return {
      name,
      status: "failed",
      finding,
      fix: "Choose another place with --data-dir or HOLDFAST_DATA_DIR.",
    };
  } finally {
    if (trial !== undefined) await rm(trial, { recursive: true, force: true });
  }
}

async function nearestExisting(path: string): Promise<string> {
  for (let candidate = path; ; candidate = dirname(candidate)) {
    if (candidate === dirname(candidate) || (await isAccessible(candidate, constants.F_OK))) return candidate;
  }
}

async function journalMode(file: string): Promise<string> {
  const { DatabaseSync } = await import("../lib/sqlite.ts");
  using database = new DatabaseSync(file);
  const row = database.prepare("PRAGMA journal_mode = WAL").get();
  database.exec("CREATE TABLE trial (id INTEGER PRIMARY KEY); INSERT INTO trial VALUES (1)");
  return String(row?.journal_mode);
}

/** Which keys are set, by name. One that `auto` chooses a model by is enough. */
export function checkKeys(models: { hasKey(provider: string): boolean }): readonly Check[] {
  const found = providers.filter(({ name }) => models.hasKey(name)).map(({ name }) => name);
  if (found.length > 0) return [{ name: "model keys", status: "ok", finding: found.join(", "), fix: null }];
  const usual = providers.flatMap(({ name, defaultModel }) =>
    defaultModel === null ? [] : keyVariablesOf(name),
  );
  return [
    {
      name: "model keys",
      status: "missing",
      finding: "none found: only agents with a scripted model, or with a server of their own, can answer",
      fix: `export ${usual[0]}=...   (or ${usual.slice(1).join(", ")})`,
    },
  ];
}

export async function checkSearch(env: Environment): Promise<Check> {
  const path = await findProgram("rg", env);
  if (path !== undefined) return { name: "ripgrep", status: "ok", finding: path, fix: null };
  const finding = "not found: agents search files with a slower built-in search";
  return { name: "ripgrep", status: "missing", finding, fix: installCommand("ripgrep") };
}

async function findProgram(program: string, env: Environment): Promise<string | undefined> {
  for (const folder of (env.PATH ?? "").split(delimiter).filter(Boolean)) {
    const file = join(folder, program);
    if (await isAccessible(file, constants.X_OK)) return file;
  }
  return undefined;
}

function isAccessible(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

function installCommand(name: string): string {
  if (process.platform === "darwin") return `brew install ${name}`;
  return `${process.getuid?.() === 0 ? "" : "sudo "}apt-get install -y ${name}`;
}
