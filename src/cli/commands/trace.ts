import { agentOption, dataDirOption, jsonOption, type RunnableCommand, serverOption } from "../command.ts";

export const trace: RunnableCommand = {
  name: "trace",
  summary: "where time, tokens and money of a session went, call by call",
  arguments: [{ syntax: "<session>", description: "its id" }],
  options: [agentOption, dataDirOption, serverOption, jsonOption],
  examples: [
    {
      command: "holdfast trace s_01jz...",
      explanation:
        "one line for each request to a model: times, tokens read from and written to the cache, waste, cost",
    },
    {
      command:
        "holdfast trace s_01jz... --json | jq '.items[] | select(.type == \"call\" and .wastedTokens > 0)'",
      explanation: "for programs: {session, items, totals}",
    },
  ],
  async run(input, terminal) {
    const { traceSession } = await import("../trace-session.ts");
    const place = { url: input.text("url"), dataDir: input.text("dataDir"), agentPath: input.text("agent") };
    return traceSession(
      { session: input.text("session") ?? "", ...place, json: input.flag("json") },
      terminal,
    );
  },
};
