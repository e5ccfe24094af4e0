import { dataDirOption, jsonOption, type RunnableCommand } from "../command.ts";
import type { Check } from "../examine.ts";
import { exitCodes } from "../exit.ts";
import { printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";

export const doctor: RunnableCommand = {
  name: "doctor",
  summary: "tell what this machine has, what is missing and how to get it",
  options: [dataDirOption, jsonOption],
  examples: [
    {
      command: "holdfast doctor",
      explanation: "exit code 0: agents can run here, 7: something needed is missing",
    },
    {
      command: "holdfast doctor --json",
      explanation: "the same for programs; names of keys, never their values",
    },
  ],
  async run(input, terminal) {
    const { examine } = await import("../examine.ts");
    const checks = await examine({
      dataDir: input.text("dataDir"),
      cwd: terminal.cwd,
      env: terminal.env,
    });
    const ready = checks.every(({ status }) => status !== "failed");
    if (input.flag("json")) printJson(terminal, { ready, checks });
    else printChecks(checks, ready, terminal);
    return ready ? exitCodes.ok : exitCodes.unavailable;
  },
};

const marks = {
  ok: { sign: "✓", colour: "green" },
  missing: { sign: "-", colour: "yellow" },
  failed: { sign: "✗", colour: "red" },
} as const satisfies Record<Check["status"], object>;

function printChecks(checks: readonly Check[], ready: boolean, { stdout, env }: Terminal): void {
  const style = stylerFor(stdout, env);
  const width = Math.max(...checks.map(({ name }) => name.length));
  for (const { name, status, finding, fix } of checks) {
    const { sign, colour } = marks[status];
    printLine(stdout, `${style(colour, sign)} ${name.padEnd(width)}  ${finding}`);
    if (fix !== null) printLine(stdout, `${" ".repeat(width + 4)}${style("cyan", fix)}`);
  }
  printLine(stdout);
  printLine(stdout, ready ? "Agents can run here." : "Agents cannot run here yet: see the lines with ✗.");
}
