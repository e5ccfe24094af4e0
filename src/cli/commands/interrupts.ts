import {
  agentOption,
  type CommandGroup,
  dataDirOption,
  type Input,
  jsonOption,
  type RunnableCommand,
  serverOption,
} from "../command.ts";

const place = [dataDirOption, serverOption, jsonOption];
const sessionArgument = { syntax: "<session>", description: "the id of the session that waits" };

const list: RunnableCommand = {
  name: "list",
  summary: "runs that wait for a person, the latest first",
  options: [
    {
      flags: "--status <status>",
      description: "open (default), answered, or closed: its run ended otherwise",
    },
    { flags: "--agent <name>", description: "only those of this agent" },
    ...place,
  ],
  examples: [
    { command: "holdfast interrupts list", explanation: "what waits for an answer" },
    {
      command: "holdfast interrupts list --json | jq -r '.interrupts[].sessionId'",
      explanation: "for programs: {interrupts}, as GET /v1/interrupts",
    },
  ],
  async run(input, terminal) {
    const { listInterrupts } = await import("../interrupts.ts");
    const filter = { status: input.text("status"), agentName: input.text("agent") };
    return listInterrupts({ ...placeOf(input), ...filter, agentPath: undefined }, terminal);
  },
};

const show: RunnableCommand = {
  name: "show",
  summary: "what a session waits for",
  arguments: [sessionArgument],
  options: [agentOption, ...place],
  examples: [
    { command: "holdfast interrupts show s_01jz...", explanation: "what happened, and what can be done" },
  ],
  async run(input, terminal) {
    const { showInterrupt } = await import("../interrupts.ts");
    return showInterrupt({ session: input.text("session") ?? "", ...placeOf(input) }, terminal);
  },
};

const answer: RunnableCommand = {
  name: "answer",
  summary: "decide what a session waits for; the first answer counts",
  arguments: [sessionArgument],
  options: [
    {
      flags: "--raise <dollars>",
      description:
        "the new limit of the budget; of an agent or a tenant: for today, for all sessions that wait for it",
    },
    { flags: "--end", description: "end the run" },
    { flags: "--actor <name>", description: "who says so, for the record" },
    agentOption,
    ...place,
  ],
  examples: [
    {
      command: "holdfast interrupts answer s_01jz... --raise 5 --actor ada",
      explanation: "the run goes on; its budget is $5 in all, not $5 more",
    },
    {
      command: "holdfast interrupts answer s_01jz... --end",
      explanation: 'the run ends with the reason "budget"',
    },
  ],
  async run(input, terminal) {
    const { answerInterrupt } = await import("../interrupts.ts");
    const given = { raise: input.text("raise"), end: input.flag("end"), actor: input.text("actor") };
    return answerInterrupt({ session: input.text("session") ?? "", ...given, ...placeOf(input) }, terminal);
  },
};

function placeOf(input: Input) {
  return {
    url: input.text("url"),
    dataDir: input.text("dataDir"),
    agentPath: input.text("agent"),
    json: input.flag("json"),
  };
}

export const interrupts: CommandGroup = {
  name: "interrupts",
  summary: "see what waits for a person, and answer",
  commands: [list, show, answer],
};
