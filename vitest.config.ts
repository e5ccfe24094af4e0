import { configDefaults, defineConfig } from "vitest/config";

/** Counts the timers of its process, so that nothing else may run there. */
const ALONE = "src/tools/execute.test.ts";

/**
 * Three sizes of test. `fast` (and what has to be `alone`) is part of `npm run check`; `scenario` runs real servers and sandboxes;
 * `crash` kills real processes and takes minutes.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          include: ["src/**/*.test.ts", "test/*.test.ts"],
          exclude: [ALONE, ...configDefaults.exclude],
          testTimeout: 15_000,
          // Files share a process, and what they import is loaded once for all of them: no module has state of its own.
          isolate: false,
        },
      },
      { test: { name: "alone", include: [ALONE], testTimeout: 15_000 } },
      {
        test: {
          name: "scenario",
          include: ["test/scenarios/**/*.test.ts", "test/sandbox/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "crash",
          include: ["test/crash/**/*.test.ts"],
          testTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
