import { agentOption, dataDirOption, jsonOption, type RunnableCommand } from "../command.ts";
import { sendingOptions, sendingWishes } from "../sending.ts";

export const run: RunnableCommand = {
  name: "run",
  summary: "give an agent one job, watch it work, and leave; no server needed",
  arguments: [
    { syntax: "[prompt]", description: 'what to do; "-", or nothing in a pipe: read from standard input' },
  ],
  options: [
    agentOption,
    {
      flags: "--session <id>",
      description: "continue this session, or create it; without a prompt: take up its unfinished run",
    },
    {
      flags: "--continue",
      description: "continue the agent's most recent session; without a prompt: take up its unfinished run",
    },
    {
      flags: "--file <path>",
      description: "copy a file into the session's workspace first; may be repeated",
      repeatable: true,
    },
    ...sendingOptions,
    {
      flags: "--allow-bypass",
      description: "the mode bypass is possible, which asks for nothing; not without a sandbox",
    },
    dataDirOption,
    { ...jsonOption, description: "print events as JSON lines (RunEvent), and errors as JSON on stderr" },
  ],
  examples: [
    {
      command: 'holdfast run "Find what is odd in sales.csv" --file sales.csv',
      explanation:
        "what you type meanwhile steers it; exit code 0: done, 1: failed, 9: ended at a limit, 10: stopped by somebody else, 11: waits for a person, 130: Ctrl-C",
    },
    {
      command: 'holdfast run "How would you migrate this?" --mode plan',
      explanation: "nothing is changed; go on with --continue --mode acceptEdits",
    },
    {
      command: 'holdfast run --continue "And now as a table"',
      explanation: "go on with the latest session",
    },
    {
      command: "git diff | holdfast run --agent reviewer - --json",
      explanation: "in a pipe, for a program",
    },
  ],
  async run(input, terminal) {
    const { runAgent } = await import("../run-agent.ts");
    return runAgent(
      {
        prompt: input.text("prompt"),
        agent: input.text("agent"),
        session: input.text("session"),
        continueLatest: input.flag("continue"),
        files: input.list("file"),
        ...sendingWishes(input),
        allowBypass: input.flag("allowBypass"),
        dataDir: input.text("dataDir"),
        json: input.flag("json"),
      },
      terminal,
    );
  },
};
