import {
  agentOption,
  type CommandGroup,
  dataDirOption,
  type Input,
  jsonOption,
  type Option,
  type RunnableCommand,
  serverOption,
} from "../command.ts";
import type { Terminal } from "../terminal.ts";

/** Questions to people: seeing and answering them. `approvals`, `approve` and `reject` are the short ways to the same. */

const place = [dataDirOption, serverOption, jsonOption];
const wantedArgument = {
  syntax: "<id>",
  description: "the question's id, or its beginning; or the session that waits",
};
const asOption: Option = { flags: "--as <name>", description: "who says so, for the record (default: you)" };
const allOption: Option = { flags: "--all", description: "every open question of the session" };
const alwaysOption: Option = {
  flags: "--always <scope>",
  description:
    "and write the rule that the question shows, so that exactly this is not asked again: in this session, or in all of the agent (session, agent)",
};
const editOptions: readonly Option[] = [
  { flags: "--edit <json>", description: "with these arguments instead" },
  { flags: "--edit-file <path>", description: "with the arguments in this file instead" },
];
const feedbackOption: Option = {
  flags: "--feedback <text>",
  description: "what the agent is to know, or to do instead",
};

const listOptions: readonly Option[] = [
  {
    flags: "--status <status>",
    description:
      "open (default); answered, expired or looked at anew (answered); closed: decided otherwise, or its run has ended",
  },
  { flags: "--agent <name>", description: "only those of this agent" },
  ...place,
];

async function list(input: Input, terminal: Terminal): Promise<number> {
  const { listInterrupts } = await import("../interrupts/list.ts");
  const filter = { status: input.text("status"), agentName: input.text("agent") };
  return listInterrupts({ ...placeOf(input), ...filter, agentPath: undefined }, terminal);
}

const listCommand: RunnableCommand = {
  name: "list",
  summary: "what waits for a person, the latest first; the same as `holdfast approvals`",
  options: listOptions,
  examples: [
    { command: "holdfast interrupts list", explanation: "what waits for an answer" },
    {
      command: "holdfast interrupts list --json | jq -r '.interrupts[].sessionId'",
      explanation: "for programs: {interrupts}, as GET /v1/interrupts",
    },
  ],
  run: list,
};

const show: RunnableCommand = {
  name: "show",
  summary: "everything about a question: arguments, risk, what would change, who may answer",
  arguments: [wantedArgument],
  options: [agentOption, ...place],
  examples: [
    { command: "holdfast interrupts show int_01k3", explanation: "the beginning of an id is enough" },
    { command: "holdfast interrupts show s_01jz...", explanation: "what this session waits for" },
  ],
  async run(input, terminal) {
    const { showInterrupt } = await import("../interrupts/show.ts");
    return showInterrupt({ wanted: input.text("id") ?? "", ...placeOf(input) }, terminal);
  },
};

const answer: RunnableCommand = {
  name: "answer",
  summary: "decide what a session waits for; the first answer counts",
  arguments: [wantedArgument],
  options: [
    { flags: "--approve", description: "the call may start" },
    { flags: "--reject", description: "it may not; the agent is told why" },
    ...editOptions,
    {
      flags: "--respond <value>",
      description:
        "the answer to a question (JSON where it asks for more than text), or the result of a call",
    },
    { flags: "--done", description: "a call whose outcome nobody knows: it has happened" },
    { flags: "--retry", description: "it has not: start it again" },
    { flags: "--skip", description: "leave it; the agent is told that nobody knows" },
    {
      flags: "--raise <dollars>",
      description:
        "the new limit of the budget; of an agent or a tenant: for today, for all sessions that wait for it",
    },
    { flags: "--end", description: "end the run at its budget" },
    alwaysOption,
    feedbackOption,
    { flags: "--note <text>", description: "with --done: what came of it" },
    allOption,
    asOption,
    { flags: "--actor <name>", description: "the same as --as" },
    agentOption,
    ...place,
  ],
  examples: [
    {
      command: "holdfast interrupts answer s_01jz... --raise 5 --as ada",
      explanation: "the run goes on; its budget is $5 in all, not $5 more",
    },
    {
      command: `holdfast interrupts answer int_01k3 --respond '{"approvedBy":"finance"}'`,
      explanation: "answers what a tool asks, or stands for the result of a call that does not start",
    },
    {
      command: "holdfast interrupts answer s_01jz... --end",
      explanation: 'the run ends with the reason "budget"',
    },
  ],
  async run(input, terminal) {
    const { readAnswer } = await import("../interrupts/read-answer.ts");
    const given = await readAnswer(input, terminal.cwd);
    const { answerInterrupts } = await import("../interrupts/answer.ts");
    return answerInterrupts(given, wishesOf(input), terminal);
  },
};

export const interrupts: CommandGroup = {
  name: "interrupts",
  summary: "all questions to people, of every kind: see them and answer",
  commands: [listCommand, show, answer],
};

export const approvals: RunnableCommand = {
  name: "approvals",
  summary: "what waits for a person: calls to approve, questions, budgets",
  options: listOptions,
  examples: [
    { command: "holdfast approvals", explanation: "then: holdfast approve <id>, holdfast reject <id>" },
    { command: "holdfast approvals --status answered", explanation: "who has decided what" },
  ],
  run: list,
};

export const approve: RunnableCommand = {
  name: "approve",
  summary: "let a call start that waits for a person",
  arguments: [wantedArgument],
  options: [alwaysOption, ...editOptions, allOption, asOption, agentOption, ...place],
  examples: [
    { command: "holdfast approve int_01k3", explanation: "this once; `holdfast approvals` lists the ids" },
    {
      command: "holdfast approve s_01jz... --always session",
      explanation:
        "and the same again without asking, for the rest of the session; `interrupts show` says by which rule",
    },
    {
      command: `holdfast approve int_01k3 --edit '{"amount":40}' --as ada`,
      explanation: "with other arguments; the agent is told what was changed",
    },
  ],
  async run(input, terminal) {
    const { readApproval } = await import("../interrupts/read-answer.ts");
    const given = await readApproval(input, terminal.cwd);
    const { answerInterrupts } = await import("../interrupts/answer.ts");
    return answerInterrupts(given, wishesOf(input), terminal);
  },
};

export const reject: RunnableCommand = {
  name: "reject",
  summary: "keep a call from starting, and say why",
  arguments: [wantedArgument],
  options: [feedbackOption, allOption, asOption, agentOption, ...place],
  examples: [
    {
      command: 'holdfast reject int_01k3 --feedback "not on a Friday"',
      explanation: "the agent reads it, and goes on without the call",
    },
    { command: "holdfast reject s_01jz... --all", explanation: "everything that the session asks" },
  ],
  async run(input, terminal) {
    const { readRejection } = await import("../interrupts/read-answer.ts");
    const { answerInterrupts } = await import("../interrupts/answer.ts");
    return answerInterrupts(readRejection(input), wishesOf(input), terminal);
  },
};

function wishesOf(input: Input) {
  return {
    wanted: input.text("id") ?? "",
    all: input.flag("all"),
    actor: input.text("as") ?? input.text("actor"),
    ...placeOf(input),
  };
}

function placeOf(input: Input) {
  return {
    url: input.text("url"),
    dataDir: input.text("dataDir"),
    agentPath: input.text("agent"),
    json: input.flag("json"),
  };
}
