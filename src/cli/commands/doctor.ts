import { AppError } from "../../lib/errors.ts";
import { agentOption, dataDirOption, jsonOption, type RunnableCommand } from "../command.ts";
import type { Check } from "../examine.ts";
import { exitCodes } from "../exit.ts";
import { printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";

export const doctor: RunnableCommand = {
  name: "doctor",
  summary: "tell what this machine has and what is missing, or what is wrong with a session",
  arguments: [{ syntax: "[session]", description: "look at the log of this session instead" }],
  options: [
    dataDirOption,
    agentOption,
    {
      flags: "--repair",
      description: "append to the session's log what puts it right; nothing that stands in it is changed",
    },
    jsonOption,
  ],
  examples: [
    {
      command: "holdfast doctor",
      explanation: "exit code 0: agents can run here, 7: something needed is missing",
    },
    {
      command: "holdfast doctor --json",
      explanation: "the same for programs; names of keys, never their values",
    },
    {
      command: "holdfast doctor s_01k3... --repair",
      explanation: "find what no provider would accept in a session's log, and append what puts it right",
    },
  ],
  async run(input, terminal) {
    const session = input.text("session");
    if (session !== undefined) {
      const { doctorSession } = await import("../sessions/doctor.ts");
      return doctorSession(
        {
          session,
          repair: input.flag("repair"),
          json: input.flag("json"),
          dataDir: input.text("dataDir"),
          agentPath: input.text("agent"),
        },
        terminal,
      );
    }
    if (input.flag("repair")) {
      throw new AppError("invalid_input", "which session is to be repaired?", {
        hint: "Name it: holdfast doctor <session> --repair",
      });
    }
    const { examine } = await import("../examine.ts");
    const checks = await examine({
      dataDir: input.text("dataDir"),
      cwd: terminal.cwd,
      env: terminal.env,
    });
    const ready = checks.every(({ status }) => status !== "failed");
    if (input.flag("json")) printJson(terminal, { ready, checks });
    else await printChecks(checks, ready, terminal);
    return ready ? exitCodes.ok : exitCodes.unavailable;
  },
};

const marks = {
  ok: { sign: "✓", colour: "green" },
  missing: { sign: "-", colour: "yellow" },
  failed: { sign: "✗", colour: "red" },
} as const satisfies Record<Check["status"], object>;

async function printChecks(
  checks: readonly Check[],
  ready: boolean,
  { stdout, env }: Terminal,
): Promise<void> {
  const { plain } = await import("../render/plain.ts");
  const style = stylerFor(stdout, env);
  const width = Math.max(...checks.map(({ name }) => name.length));
  for (const { name, status, finding, fix } of checks) {
    const { sign, colour } = marks[status];
    printLine(stdout, `${style(colour, sign)} ${name.padEnd(width)}  ${plain(finding)}`);
    if (fix !== null) printLine(stdout, `${" ".repeat(width + 4)}${style("cyan", plain(fix))}`);
  }
  printLine(stdout);
  printLine(stdout, ready ? "Agents can run here." : "Agents cannot run here yet: see the lines with ✗.");
}
