import { globSync, readdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Plugin, rolldown } from "rolldown";

/**
 * Puts the worker of the sandbox `virtual` and what it needs of just-bash into `dist/`, so that an installation does not need the
 * package and its dependencies (about 60 MB). Run after `tsc`, whose `worker.js` it replaces.
 *
 * `node scripts/bundle-virtual.ts [directory]`: another place than `dist/sandboxes/virtual`, for the test.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const outDir = process.argv[2] ?? join(root, "dist", "sandboxes", "virtual");

/** Commands that the sandbox does not offer (`interpreter.ts`), and packages that only they use. */
const leftOut = /^(?:python3|js-exec|sqlite3|curl|undici|html-to-markdown|flag-coverage)-[A-Z0-9]+\.js$/;
const packagesLeftOut = new Set([
  "sql.js",
  "quickjs-emscripten",
  "turndown",
  // Native code; without them tar and gzip lack zstd and xz.
  "@mongodb-js/zstd",
  "node-liblzma",
]);

const ABSENT = "\0absent";

/** Replaces what is left out by a module that says so when it is loaded. */
const leaveOut: Plugin = {
  name: "leave-out",
  resolveId(source) {
    return packagesLeftOut.has(source) || leftOut.test(basename(source)) ? ABSENT : null;
  },
  load(id) {
    return id === ABSENT
      ? { code: 'throw new Error("not part of the built-in bash");', moduleSideEffects: true }
      : null;
  },
};

rmSync(join(outDir, "chunks"), { recursive: true, force: true });
const bundle = await rolldown({
  input: join(root, "src", "sandboxes", "virtual", "worker.ts"),
  platform: "node",
  plugins: [leaveOut],
  // The names that a left-out module lacks.
  shimMissingExports: true,
  onLog(level, log, report) {
    if (log.code !== "SHIMMED_EXPORT") report(level, log);
  },
});
await bundle.write({
  dir: outDir,
  format: "esm",
  minify: true,
  entryFileNames: "worker.js",
  // Commands are loaded when they are first used.
  chunkFileNames: "chunks/[name]-[hash].js",
});
await bundle.close();

// What tsc made of the files that are bundled now would need the package.
for (const file of globSync(join(outDir, "interpreter.*"))) rmSync(file);
for (const file of globSync(join(outDir, "worker.{d.ts,js.map}"))) rmSync(file);

const chunks = readdirSync(join(outDir, "chunks"));
const files = [join(outDir, "worker.js"), ...chunks.map((name) => join(outDir, "chunks", name))];
const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
console.log(`built-in bash: ${(bytes / 1e6).toFixed(2)} MB in ${files.length} files`);
