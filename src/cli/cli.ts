import { packageVersion } from "../lib/version.ts";
import type { Command } from "./command.ts";
import { context } from "./commands/context.ts";
import { costs } from "./commands/costs.ts";
import { create } from "./commands/create.ts";
import { doctor } from "./commands/doctor.ts";
import { exec } from "./commands/exec.ts";
import { approvals, approve, interrupts, reject } from "./commands/interrupts.ts";
import { invoke } from "./commands/invoke.ts";
import { permissions } from "./commands/permissions.ts";
import { run } from "./commands/run.ts";
import { sessions } from "./commands/sessions.ts";
import { start } from "./commands/start.ts";
import { trace } from "./commands/trace.ts";
import { validate } from "./commands/validate.ts";
import { reportError } from "./exit.ts";
import { runProgram } from "./program.ts";
import { guarded, type Terminal } from "./terminal.ts";

/** The commands in the order of the help: the way of an agent, from its making to its operation. */
export const commands: readonly Command[] = [
  create,
  validate,
  run,
  start,
  invoke,
  sessions,
  approvals,
  approve,
  reject,
  interrupts,
  permissions,
  costs,
  trace,
  context,
  exec,
  doctor,
];

const summary =
  "Runs AI agents as durable sessions, each in a sandbox of its own. An agent is a folder with a harness.json.";

/** The whole command line as a function: words in, exit code out. Never throws. */
export async function runCli(words: readonly string[], terminal: Terminal): Promise<number> {
  const safe = guarded(terminal);
  try {
    return await runProgram({ summary, version: packageVersion(), commands }, words, safe);
  } catch (error) {
    return await reportError(error, safe, { json: asksForJson(words) });
  }
}

/** Looked up in the words, since parsing them may be what failed. What follows `--` belongs to another program. */
function asksForJson(words: readonly string[]): boolean {
  const end = words.indexOf("--");
  return words.slice(0, end === -1 ? undefined : end).includes("--json");
}
