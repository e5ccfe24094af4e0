import { dataDirOption, jsonOption, type RunnableCommand, serverOption } from "../command.ts";

export const costs: RunnableCommand = {
  name: "costs",
  summary: "what calls to models have cost",
  options: [
    { flags: "--by <what>", description: "day (default), agent, model, actor, tenant or session" },
    { flags: "--since <duration>", description: "only the last days, for example 7d (default: all)" },
    { flags: "--agent <name>", description: "only the agent of this name" },
    dataDirOption,
    serverOption,
    jsonOption,
  ],
  examples: [
    { command: "holdfast costs --since 7d", explanation: "the days (UTC) of the last week" },
    {
      command: "holdfast costs --by model --json | jq .total.costUsd",
      explanation: "for programs: {by, since, rows, total, omitted}, as GET /v1/costs",
    },
  ],
  async run(input, terminal) {
    const { showCosts } = await import("../show-costs.ts");
    const wishes = { by: input.text("by"), since: input.text("since"), agentName: input.text("agent") };
    const place = { url: input.text("url"), dataDir: input.text("dataDir"), agentPath: undefined };
    return showCosts({ ...wishes, ...place, json: input.flag("json") }, terminal);
  },
};
