import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/**
 * The rules of the house (docs/design.md, *The house*) as checks. Each failure lists the places and says what to do.
 * Sources are read as text: regular expressions over import statements are enough, and need no compiler.
 */

/** A part (a folder or a file directly below `src/`) imports only from earlier lines; parts on one line are blind to each other. */
const order: readonly (readonly string[])[] = [
  ["lib"],
  ["log"],
  ["models", "permissions", "sandboxes", "snapshots", "skills", "memory"],
  ["tools", "hooks", "archive"],
  ["agents"],
  ["context"],
  ["run"],
  ["stores", "http"],
  ["config-secrets"],
  ["config"],
  ["session", "provide-models", "provide-notices", "provide-sandboxes", "provide-snapshots"],
  ["runtime"],
  ["testing"],
  ["index"],
  ["cli"],
];

/** The file to read first in a folder, where it is not named after the folder in the singular. */
const firstFiles: Readonly<Record<string, string | null>> = {
  lib: null, // Holds no word of the domain: every file stands alone.
  log: "entry.ts",
  permissions: "policy.ts",
  context: "assemble.ts",
  run: "loop.ts",
  "run/approvals": "ask-person.ts",
  "run/turn": "call-model.ts",
  "run/calls": "calls.ts",
  "run/compaction": "compact.ts",
  "run/session": "sessions.ts",
  http: "app.ts",
  "cli/commands": null, // One file per command, all of one kind: `command.ts` describes it.
  "http/routes": null, // One file per resource, all of one kind.
};

const root = fileURLToPath(new URL("..", import.meta.url));

interface Source {
  /** From the root, with slashes: "src/log/entry.ts". */
  readonly path: string;
  readonly text: string;
  /** Without comments that stand on lines of their own. */
  readonly code: string;
}

const published = sourcesBelow("src").filter(({ path }) => !path.endsWith(".test.ts"));
/** This file is left out, since it has to spell what it looks for. */
const everything = [
  ...textsAtRoot(),
  ...["src", "test", "scripts", "bench", "examples", "native", "docs", "schema"].flatMap(textsBelow),
].filter(({ path }) => path !== "test/architecture.test.ts");

describe("imports", () => {
  test("belong to parts that have a place in the order", () => {
    const parts = new Set(published.map(({ path }) => partOf(path)));
    expectNone(
      [...parts].filter((part) => rankOf(part) === -1),
      "Give the part a line in `order` of this test, and in docs/design.md.",
    );
  });

  test("go from later parts to earlier ones", () => {
    const violations = published.flatMap((source) =>
      localImports(source)
        .filter((target) => {
          const [from, to] = [partOf(source.path), partOf(target)];
          return from !== to && rankOf(to) >= rankOf(from);
        })
        .map((target) => `${source.path} imports ${target}`),
    );
    expectNone(violations, "Move the shared piece to an earlier part, or hand it over as a parameter.");
  });

  test("have no cycles between files", () => {
    expectNone(
      cyclesIn(new Map(published.map((source) => [source.path, localImports(source)]))),
      "Move what both need into a third file.",
    );
  });

  test("carry the extension .ts and name files that exist", () => {
    const paths = new Set(published.map(({ path }) => path));
    const violations = published.flatMap((source) =>
      localImports(source)
        .filter((target) => !paths.has(target))
        .map((target) => `${source.path} imports ${target}`),
    );
    expectNone(violations, 'Write the path as it is on disk: "./entry.ts".');
  });

  test("of the command line load little before a command runs", () => {
    const loaded = [...loadedBy("src/cli/cli.ts")].filter(
      (name) => !/^(?:src\/(?:cli|lib)\/|node:|commander$)/.test(name),
    );
    expectNone(loaded, "`holdfast --help` has to be fast: import it inside of the command's `run`.");
  });

  test("keep each package in one part", () => {
    const violations = [...homesOfPackages()]
      .filter(([name, parts]) => name !== "zod" && parts.size > 1)
      .map(([name, parts]) => `${name} is imported in ${[...parts].join(" and ")}`);
    expectNone(violations, "Wrap the package in one part and use the wrapper.");
  });

  test("name packages that an installation has", () => {
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = manifest;
    const installed = new Set(
      [dependencies, optionalDependencies, peerDependencies].flatMap((group) => Object.keys(group)),
    );
    // Built into `dist` by scripts/bundle-virtual.ts, so that an installation does not need its 60 MB.
    const bundled = new Set(["just-bash"]);
    const used = [...homesOfPackages().keys()];
    expectNone(
      used.filter((name) => !installed.has(name) && !bundled.has(name)),
      "Add it to dependencies (or, where it is loaded only on demand, to peerDependencies as optional).",
    );
    expectNone(
      Object.keys(dependencies).filter((name) => !used.includes(name)),
      "Nothing imports it: remove it from dependencies.",
    );
  });
});

describe("what is read where", () => {
  test("the environment: in src/config.ts and src/cli/main.ts", () => {
    const violations = occurrences(/\bprocess\.env\b|from "node:process"/, (path) =>
      ["src/config.ts", "src/cli/main.ts"].includes(path),
    );
    expectNone(violations, "Take the value as a parameter; `readConfig` in src/config.ts reads it.");
  });

  test("clocks and randomness: in src/lib", () => {
    const violations = occurrences(
      /\b(?:Date\.now|performance\.now|Math\.random|randomBytes|randomInt|randomUUID|randomFill(?:Sync)?|getRandomValues|process\.hrtime|process\.uptime)\b|\bnew Date\(\s*\)/,
      (path) => path.startsWith("src/lib/"),
    );
    expectNone(violations, "Use `Clock` of src/lib/clock.ts, or `newId` and `random` of src/lib/ids.ts.");
  });
});

describe("files", () => {
  test("export by name", () => {
    const violations = occurrences(/^export default\b|\bas default\b/m, () => false);
    expectNone(violations, "Name the export: a default one has another name in every file that imports it.");
  });

  test("stand at most three folders below src", () => {
    const violations = published.map(({ path }) => path).filter((path) => path.split("/").length > 5);
    expectNone(violations, "Find the word of the domain that makes a folder of its own.");
  });

  test("have one among them to read first, in each folder", () => {
    const paths = new Set(published.map(({ path }) => path));
    const violations = [...new Set([...paths].map((path) => dirname(path)))]
      .filter((folder) => folder !== "src")
      .flatMap((folder) => {
        const first = firstFileOf(folder.slice("src/".length));
        return first === null || paths.has(`${folder}/${first}`) ? [] : [`${folder} has no ${first}`];
      });
    expectNone(
      violations,
      "Name the central file after the folder in the singular, or enter it in `firstFiles`.",
    );
  });
});

describe("texts", () => {
  test("leave no test alone", () => {
    const violations = everything.flatMap((source) =>
      linesWith(source, /\b(?:test|it|describe|suite|bench)\.only\b/),
    );
    expectNone(violations, "Remove `.only`: it silences every other test of the file.");
  });

  test("name no place that only one machine has", () => {
    const violations = everything.flatMap((source) =>
      linesWith(source, /(?<![\w.$}/-])\/(?:work|root|tmp\/bash\w*)\//),
    );
    expectNone(violations, "Use a path relative to the repository, or a temporary folder made by the test.");
  });

  test("leave nothing for later", () => {
    const violations = everything.flatMap((source) => linesWith(source, /\b(?:TODO|FIXME|XXX)\b/));
    expectNone(violations, "Do it, or write an issue.");
  });
});

describe("the checks themselves", () => {
  test("see every form of import", () => {
    const code = [
      'import { a } from "./a.ts";',
      'import type { B } from "../log/b.ts";',
      'export { c } from "./c.ts";',
      'import {\n  d,\n  e,\n} from "./d.ts";',
      'import "./f.ts";',
      'const g = await import("./g.ts");',
      'type H = import("./h.ts").H;',
      'import { z } from "zod";',
      'import { readFile } from "node:fs/promises";',
    ].join("\n");
    expect(importsOf(code)).toEqual([
      "./a.ts",
      "../log/b.ts",
      "./c.ts",
      "./d.ts",
      "zod",
      "node:fs/promises",
      "./f.ts",
      "./g.ts",
      "./h.ts",
    ]);
  });

  test("find cycles", () => {
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["b"]],
      ["d", ["a"]],
    ]);
    expect(cyclesIn(graph)).toEqual(["b -> c -> b"]);
  });

  test("look at something", () => {
    expect(published.length).toBeGreaterThan(20);
    expect(published.flatMap(localImports).length).toBeGreaterThan(50);
  });
});

function expectNone(violations: readonly string[], advice: string): void {
  if (violations.length === 0) return;
  expect.fail(`${advice}\n${violations.map((violation) => `  ${violation}`).join("\n")}`);
}

function textsAtRoot(): readonly Source[] {
  return readdirSync(root)
    .filter((name) => /\.(?:ts|json|md)$/.test(name))
    .map(readSource);
}

function textsBelow(folder: string): readonly Source[] {
  return filesBelow(folder)
    .filter((path) => /\.(?:ts|js|mjs|json|ya?ml|md|c|h|sh)$/.test(path))
    .map(readSource);
}

function sourcesBelow(folder: string): readonly Source[] {
  return filesBelow(folder)
    .filter((path) => path.endsWith(".ts"))
    .map(readSource);
}

function filesBelow(folder: string): readonly string[] {
  let entries: readonly { readonly name: string; readonly isDirectory: () => boolean }[];
  try {
    entries = readdirSync(join(root, folder), { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    if (entry.name === "node_modules" || entry.name === ".holdfast" || entry.name === "results") return [];
    const path = posix.join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  const code = text.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, "").replace(/^[ \t]*\/\/.*$/gm, "");
  return { path, text, code };
}

function importsOf(code: string): readonly string[] {
  const statements = code.matchAll(/^(?:import|export)\b[^;"]*?\bfrom\s+"([^"]+)"/gm);
  const effects = code.matchAll(/^import\s+"([^"]+)"/gm);
  const calls = code.matchAll(/\bimport\(\s*"([^"]+)"/g);
  return [...statements, ...effects, ...calls].flatMap(([, name]) => (name === undefined ? [] : [name]));
}

/** What starting with a file loads, through imports that are neither of types only nor made later. */
function loadedBy(path: string, loaded = new Set<string>()): ReadonlySet<string> {
  if (loaded.has(path)) return loaded;
  loaded.add(path);
  const source = published.find((candidate) => candidate.path === path);
  const statements =
    source?.code.replace(/^(?:import|export) type\b[^;]*;/gm, "").replace(/\bimport\(/g, "(") ?? "";
  for (const name of importsOf(statements)) {
    loadedBy(name.startsWith(".") ? posix.join(posix.dirname(path), name) : name, loaded);
  }
  return loaded;
}

/** The files of this repository that a file imports, as paths from the root. */
function localImports({ path, code }: Source): readonly string[] {
  return importsOf(code)
    .filter((name) => name.startsWith("."))
    .map((name) => posix.join(posix.dirname(path), name));
}

function homesOfPackages(): ReadonlyMap<string, ReadonlySet<string>> {
  const homes = new Map<string, Set<string>>();
  for (const { path, code } of published) {
    for (const name of importsOf(code)) {
      if (name.startsWith(".") || name.startsWith("node:")) continue;
      const packageName = name.split("/", name.startsWith("@") ? 2 : 1).join("/");
      const parts = homes.get(packageName) ?? new Set();
      homes.set(packageName, parts.add(partOf(path)));
    }
  }
  return homes;
}

/** "src/log/entry.ts" is in "log", "src/config.ts" is "config". */
function partOf(path: string): string {
  return relative("src", path).split("/")[0]?.replace(/\.ts$/, "") ?? "";
}

function rankOf(part: string): number {
  return order.findIndex((line) => line.includes(part));
}

/** Each cycle once, as "a -> b -> a". */
function cyclesIn(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start !== -1) cycles.push([...trail.slice(start), file].join(" -> "));
    if (start !== -1 || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}

function occurrences(pattern: RegExp, isAllowed: (path: string) => boolean): readonly string[] {
  return published
    .filter(({ path }) => !isAllowed(path))
    .flatMap(({ path, code }) => linesWith({ path, text: code }, pattern, { numbered: false }));
}

function linesWith(
  { path, text }: Pick<Source, "path" | "text">,
  pattern: RegExp,
  { numbered = true }: { readonly numbered?: boolean } = {},
): readonly string[] {
  return text.split("\n").flatMap((line, i) => {
    if (!pattern.test(line)) return [];
    return [`${path}${numbered ? `:${i + 1}` : ""}: ${line.trim()}`];
  });
}

function firstFileOf(folder: string): string | null {
  const exception = firstFiles[folder];
  return exception === undefined ? `${singular(basename(folder))}.ts` : exception;
}

/** "sandboxes" is "sandbox", "models" is "model"; what is singular stays so. */
function singular(word: string): string {
  return word.replace(/(?<=x|ss)es$|(?<!s)s$/, "");
}
