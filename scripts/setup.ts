import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Makes this machine ready for the demo and the tests: bubblewrap, a C compiler and ripgrep, then the sandbox's own
 * program. Installs what is missing as root on Debian; elsewhere it names the one command that does, and everything goes on
 * with what is there. Takes some milliseconds when all is there.
 *
 *     node scripts/setup.ts
 */
export function setUp(say: (line: string) => void = console.error): void {
  if (process.platform !== "linux") return; // Elsewhere there is no bubblewrap; commands run in the virtual sandbox.
  const missing = needs.filter((need) => !need.isThere());
  if (missing.length > 0) provide(missing, say);
  if (existsSync(NATIVE_BUILD) && hasCompiler()) buildNative(say);
}

interface Need {
  readonly what: string;
  readonly why: string;
  isThere(): boolean;
  /** Packages by package manager. */
  readonly packages: Readonly<Record<PackageManager, readonly string[]>>;
}

type PackageManager = (typeof managers)[number]["name"];

const needs: readonly Need[] = [
  {
    what: "bubblewrap",
    why: "commands run in the virtual sandbox without it",
    isThere: () => onPath("bwrap"),
    packages: { apt: ["bubblewrap"], dnf: ["bubblewrap"], pacman: ["bubblewrap"], apk: ["bubblewrap"] },
  },
  {
    what: "a C compiler",
    why: "the sandbox's own program cannot be built without it",
    isThere: hasCompiler,
    packages: { apt: ["gcc", "libc6-dev"], dnf: ["gcc"], pacman: ["gcc"], apk: ["gcc", "musl-dev"] },
  },
  {
    what: "ripgrep",
    why: "searching files is slower without it",
    isThere: () => onPath("rg"),
    packages: { apt: ["ripgrep"], dnf: ["ripgrep"], pacman: ["ripgrep"], apk: ["ripgrep"] },
  },
];

const managers = [
  { name: "apt", program: "apt-get", install: "apt-get install -y" },
  { name: "dnf", program: "dnf", install: "dnf install -y" },
  { name: "pacman", program: "pacman", install: "pacman -S --noconfirm" },
  { name: "apk", program: "apk", install: "apk add" },
] as const;

const NATIVE_BUILD = fileURLToPath(new URL("./build-native.ts", import.meta.url));

function provide(missing: readonly Need[], say: (line: string) => void): void {
  const names = missing.map(({ what }) => what).join(", ");
  if (process.getuid?.() === 0 && isDebian()) {
    say(`installing ${names} ...`);
    if (aptInstall(missing.flatMap(({ packages }) => packages.apt))) return;
    say("that did not work.");
  }
  const still = missing.filter((need) => !need.isThere());
  for (const { what, why } of still) say(`${what} is missing: ${why}.`);
  const manager = managers.find(({ program }) => onPath(program));
  if (manager === undefined || still.length === 0) return;
  const packages = still.flatMap((need) => need.packages[manager.name]);
  say(`To install: ${process.getuid?.() === 0 ? "" : "sudo "}${manager.install} ${packages.join(" ")}`);
}

/** The lists may be old or absent (fresh containers), so a failure is tried again after an update. */
function aptInstall(packages: readonly string[]): boolean {
  const install = ["-y", "-qq", "--no-install-recommends", "install", ...packages];
  return aptGet(install) || (aptGet(["-qq", "update"]) && aptGet(install));
}

function aptGet(args: readonly string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", args, { env, stdio: "ignore", timeout: 300_000 }).status === 0;
}

/** It knows itself whether there is anything to do. */
function buildNative(say: (line: string) => void): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, [NATIVE_BUILD], { encoding: "utf8" });
  if (status !== 0) say(`building the sandbox's own program failed:\n${stdout}${stderr}`);
}

/** Debian and what is made from it (Ubuntu, Mint). */
function isDebian(): boolean {
  if (!onPath("apt-get") || !existsSync("/etc/os-release")) return false;
  return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(readFileSync("/etc/os-release", "utf8"));
}

/** A compiler without the C library's headers compiles nothing. */
function hasCompiler(): boolean {
  return onPath("musl-gcc") || ((onPath("cc") || onPath("gcc")) && existsSync("/usr/include/stdio.h"));
}

function onPath(program: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUp();
