import {
  agentOption,
  dataDirOption,
  type Input,
  jsonOption,
  type RunnableCommand,
  serverOption,
} from "../command.ts";

/** Taking a session from one store to another: `sessions export` and `sessions import`. */

const placeOptions = [agentOption, dataDirOption, serverOption, jsonOption];

export const exporting: RunnableCommand = {
  name: "export",
  summary: "write a session into one file: its log, its files and earlier states of them",
  arguments: [{ syntax: "<session>", description: "its id" }],
  options: [
    {
      flags: "-o, --output <file>",
      description: "where to; - for standard output (default: <session>.holdfast.tar.gz here)",
    },
    { flags: "--no-workspace", description: "the log alone" },
    ...placeOptions,
  ],
  examples: [
    {
      command: "holdfast sessions export s_01jz...",
      explanation:
        "one that has no work; one that waits for a person will go on waiting where it is imported",
    },
    {
      command: "holdfast sessions export s_01jz... -o - | ssh other holdfast sessions import -",
      explanation: "straight to another machine",
    },
  ],
  async run(input, terminal) {
    const { exportSession } = await import("../sessions/export.ts");
    const what = { session: input.text("session") ?? "", workspace: input.flag("workspace") };
    return exportSession({ ...what, output: input.text("output"), ...placeOf(input) }, terminal);
  },
};

export const importing: RunnableCommand = {
  name: "import",
  summary: "make a session of a file that an export wrote; refused when anything in it was changed",
  arguments: [{ syntax: "<file>", description: "the file; - for standard input" }],
  options: [
    { flags: "--as <id>", description: "under another id (default: the one that it had)" },
    { flags: "--expect <id>", description: "only the file with this id, which its export has printed" },
    { flags: "--tenant <name>", description: "whose it is to be (default: nobody's in particular)" },
    ...placeOptions,
  ],
  examples: [
    {
      command: "holdfast sessions import s_01jz....holdfast.tar.gz",
      explanation: "into the data directory of the agent here; a second time changes nothing",
    },
    {
      command: "holdfast sessions import case.holdfast.tar.gz --as case-7 --url http://127.0.0.1:8080",
      explanation: "into a running server",
    },
  ],
  async run(input, terminal) {
    const { importSession } = await import("../sessions/import.ts");
    const how = { as: input.text("as"), expect: input.text("expect"), tenant: input.text("tenant") };
    return importSession({ file: input.text("file") ?? "", ...how, ...placeOf(input) }, terminal);
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
