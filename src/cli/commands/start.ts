import type { Option, RunnableCommand } from "../command.ts";

const options: readonly Option[] = [
  {
    flags: "--host <name>",
    description: "where to listen (default: 127.0.0.1; others need HOLDFAST_TOKENS)",
  },
  { flags: "--port <number>", description: "0 takes a free one (default: 8080)" },
  {
    flags: "--data-dir <path>",
    description:
      "where sessions are kept (default: .holdfast beside the harness.json, or here if there are several)",
  },
  {
    flags: "--drain-timeout <time>",
    description:
      "how long runs may take to come to the end of their step when it is to end (default: 30s, or HOLDFAST_DRAIN_TIMEOUT)",
  },
  {
    flags: "--allow-bypass",
    description:
      "sessions may work in the mode bypass, which asks for nothing; only on this machine, and not without a sandbox",
  },
  { flags: "--verbose", description: "tell of every request" },
];

export const start: RunnableCommand = {
  name: "start",
  summary: "serve agents over HTTP, and take up what was left unfinished",
  arguments: [
    {
      syntax: "[path...]",
      description:
        "agents: folders or harness.json files (default: this folder, else those in */ and agents/*/)",
    },
  ],
  options,
  examples: [
    { command: "holdfast start", explanation: "the agent in this folder, on http://127.0.0.1:8080" },
    {
      command: "HOLDFAST_TOKENS=$(openssl rand -hex 32) holdfast start agents/* --host 0.0.0.0",
      explanation: "several agents, for other machines: callers send the token",
    },
  ],
  async run(input, terminal) {
    const { serveAgents } = await import("../serve-agents.ts");
    return serveAgents(
      {
        paths: input.list("path"),
        host: input.text("host"),
        port: input.text("port"),
        dataDir: input.text("dataDir"),
        drainTimeout: input.text("drainTimeout"),
        verbose: input.flag("verbose"),
        allowBypass: input.flag("allowBypass"),
      },
      terminal,
    );
  },
};
