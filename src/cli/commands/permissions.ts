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

const place = [agentOption, dataDirOption, serverOption, jsonOption];
const sessionArgument = { syntax: "<session>", description: "its id" };
const ruleArgument = {
  syntax: "<rule>",
  description: "as in harness.json: shell(npm test*), write(src/**), refund(amount<=50)",
};
const asOption: Option = { flags: "--as <name>", description: "who says so, for the record (default: you)" };
const agentWideOption: Option = { flags: "--agent-wide", description: "for all sessions of the agent" };

const explain: RunnableCommand = {
  name: "explain",
  summary: "why a call may start, or may not: layer by layer, and what really happened",
  arguments: [
    { syntax: "[session]", description: "whose mode and rules count" },
    { syntax: "[call]", description: "the id of a call that was made, or its beginning" },
  ],
  options: [
    { flags: "--tool <name>", description: "a call that was not made, of this tool" },
    { flags: "--input <json>", description: "with these arguments (default: {})" },
    { flags: "--mode <mode>", description: "as if the session worked in this mode" },
    ...place,
  ],
  examples: [
    {
      command: "holdfast permissions explain s_01jz... toolu_01",
      explanation: "rules and layers as they are today, then what was decided at the time",
    },
    {
      command: `holdfast permissions explain --tool shell --input '{"command":"git push --force"}' --agent ./my-agent`,
      explanation: "what would become of it, before any session tries",
    },
  ],
  async run(input, terminal) {
    const { explain } = await import("../permissions/explain.ts");
    const wishes = {
      call: input.text("call"),
      tool: input.text("tool"),
      input: input.text("input"),
      mode: input.text("mode"),
    };
    return explain({ ...placeOf(input), session: input.text("session"), ...wishes }, terminal);
  },
};

const mode: RunnableCommand = {
  name: "mode",
  summary: "switch a session to another mode",
  arguments: [
    sessionArgument,
    { syntax: "<mode>", description: "default, acceptEdits, plan, auto, dontAsk or bypass" },
  ],
  options: [asOption, ...place],
  examples: [
    {
      command: "holdfast permissions mode s_01jz... plan",
      explanation: "nothing is changed from now on; a run that is under way sees it before its next call",
    },
  ],
  async run(input, terminal) {
    const { switchMode } = await import("../permissions/mode.ts");
    const wishes = { session: input.text("session") ?? "", mode: input.text("mode") ?? "" };
    return switchMode({ ...placeOf(input), ...wishes, actor: input.text("as") }, terminal);
  },
};

const rules: RunnableCommand = {
  name: "rules",
  summary: "the mode of a session and all rules that count in it, with where they are from",
  arguments: [sessionArgument],
  options: place,
  examples: [
    { command: "holdfast permissions rules s_01jz...", explanation: "deny before ask before allow" },
  ],
  async run(input, terminal) {
    const { listRules } = await import("../permissions/rules.ts");
    return listRules({ ...placeOf(input), session: input.text("session") ?? "" }, terminal);
  },
};

function addCommand(list: "allow" | "ask" | "deny", summary: string, example: string): RunnableCommand {
  return {
    name: list,
    summary,
    arguments: [sessionArgument, ruleArgument],
    options: [agentWideOption, asOption, ...place],
    examples: [
      {
        command: `holdfast permissions ${list} s_01jz... '${example}'`,
        explanation: "from now on, in this session",
      },
    ],
    async run(input, terminal) {
      const { addRule } = await import("../permissions/rules.ts");
      const wishes = { agentWide: input.flag("agentWide"), actor: input.text("as") };
      return addRule(list, { ...ruleOf(input), ...wishes }, terminal);
    },
  };
}

const remove: RunnableCommand = {
  name: "remove",
  summary: "take back a rule that people have made for all sessions of an agent",
  arguments: [{ ...sessionArgument, description: "any session of the agent" }, ruleArgument],
  options: place,
  examples: [
    {
      command: "holdfast permissions remove s_01jz... 'shell(npm test*)'",
      explanation: "`holdfast permissions rules` lists them",
    },
  ],
  async run(input, terminal) {
    const { removeRule } = await import("../permissions/rules.ts");
    return removeRule(ruleOf(input), terminal);
  },
};

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
  summary: "what calls may do, why, and who decided about them",
  commands: [
    explain,
    mode,
    rules,
    addCommand("allow", "let calls start without asking", "shell(npm test*)"),
    addCommand("ask", "have a person decide about calls", "shell(git push*)"),
    addCommand("deny", "keep calls from starting, whatever allows them", "shell(rm *)"),
    remove,
    audit,
  ],
};

function ruleOf(input: Input) {
  return { ...placeOf(input), session: input.text("session") ?? "", rule: input.text("rule") ?? "" };
}

function placeOf(input: Input) {
  return {
    url: input.text("url"),
    dataDir: input.text("dataDir"),
    agentPath: input.text("agent"),
    json: input.flag("json"),
  };
}
