import { commandCases } from "./sandbox/commands.ts";
import { confinementCases } from "./sandbox/confinement.ts";
import { fileCases } from "./sandbox/files.ts";
import { lifeCases } from "./sandbox/life.ts";
import { limitCases } from "./sandbox/limits.ts";
import { operationCases } from "./sandbox/operations.ts";
import type { SandboxCase } from "./sandbox/sandbox.ts";

export type { SandboxCase, SandboxSubject } from "./sandbox/sandbox.ts";

/**
 * What every sandbox driver must do, as plain cases for any test runner:
 *
 * ```ts
 * for (const c of sandboxContract) test.skipIf(c.skip?.(capabilities))(c.name, () => c.run(subject));
 * ```
 *
 * Commands use only what bash has built in and `cat`, `seq`, `sleep`, unless the case is skipped without real programs.
 */
export const sandboxContract: readonly SandboxCase[] = [
  ...commandCases(),
  ...limitCases(),
  ...operationCases(),
  ...fileCases(),
  ...confinementCases(),
  ...lifeCases(),
];
