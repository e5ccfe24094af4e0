import {
  type CommandGroup,
  dataDirOption,
  jsonOption,
  type RunnableCommand,
  serverOption,
} from "../command.ts";

const audit: RunnableCommand = {
  name: "audit",
  summary: "who or what decided whether calls may start",
  options: [
    { flags: "--agent <name>", description: "only sessions of the agent of this name" },
    { flags: "--session <id>", description: "only this session" },
    { flags: "--since <duration>", description: "only the last days, for example 7d (default: all)" },
    dataDirOption,
    serverOption,
    jsonOption,
  ],
  examples: [
    {
      command: "holdfast permissions audit --since 7d",
      explanation:
        "counts by layer, the classifier against people, how long people took, rules that do nothing",
    },
    {
      command: "holdfast permissions audit --json | jq '.calls[] | select(.layer == \"classifier\")'",
      explanation: "for programs: {since, summary, calls, omitted}, as GET /v1/permissions/audit",
    },
  ],
  async run(input, terminal) {
    const { showAudit } = await import("../audit.ts");
    const place = { url: input.text("url"), dataDir: input.text("dataDir"), agentPath: undefined };
    const wishes = {
      agentName: input.text("agent"),
      session: input.text("session"),
      since: input.text("since"),
    };
    return showAudit({ ...wishes, ...place, json: input.flag("json") }, terminal);
  },
};

export const permissions: CommandGroup = {
  name: "permissions",
  summary: "what calls may do, and who decided about them",
  commands: [audit],
};
