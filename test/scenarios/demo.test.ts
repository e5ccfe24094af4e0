import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const demo = fileURLToPath(new URL("../../scripts/demo.ts", import.meta.url));

/** The whole way of a user: the command line, a SIGKILL in the middle of a command, a second start, the right result. */
it("the demo survives its own kill", { timeout: 300_000 }, async () => {
  // Without keys the scripted model plays, whatever this machine has.
  const {
    ANTHROPIC_API_KEY: _,
    OPENAI_API_KEY: __,
    OLLAMA_HOST: ___,
    HOLDFAST_MODEL: ____,
    ...env
  } = process.env;
  // Fails when the exit code is not 0.
  const { stdout } = await promisify(execFile)(process.execPath, [demo, "--kill"], { env });

  expect(stdout).toContain("SIGKILL to the runtime");
  expect(stdout).toContain("I found 8 anomalies in 2,183 rows; 8 are marked in the chart.");
  expect(stdout).toMatch(/entries +\d+, numbered without gaps: yes/);
  expect(stdout).toMatch(/started +once/);
  expect(stdout).toMatch(/report\.md\n.*chart\.svg/);
});
