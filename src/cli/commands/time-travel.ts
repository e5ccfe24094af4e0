import {
  agentOption,
  dataDirOption,
  type Input,
  jsonOption,
  type RunnableCommand,
  serverOption,
} from "../command.ts";

/** A session as a tree: `sessions tree`, `fork`, `rewind` and `compare`. */

const sessionArgument = { syntax: "<session>", description: "its id" };
const placeOptions = [agentOption, dataDirOption, serverOption, jsonOption];
const entryWords =
  "an id or its beginning, a number like '#12', or '~1' for what stood before the last message";

export const tree: RunnableCommand = {
  name: "tree",
  summary: "the branches of a session, with the places where it can be forked, and its forks",
  arguments: [sessionArgument],
  options: [
    { flags: "--limit <number>", description: "at most so many places, the latest ones (default: 200)" },
    { flags: "--before <number>", description: "only places before this one: what the first line says" },
    ...placeOptions,
  ],
  examples: [
    {
      command: "holdfast sessions tree s_01jz...",
      explanation: "lines with * are on the way to where it stands",
    },
  ],
  async run(input, terminal) {
    const { showTree } = await import("../sessions/tree.ts");
    const page = { limit: input.text("limit"), before: input.text("before") };
    return showTree({ ...sessionOf(input), ...page, ...placeOf(input) }, terminal);
  },
};

export const fork: RunnableCommand = {
  name: "fork",
  summary: "a new session that goes on from an entry of this one, with the files as they were there",
  arguments: [sessionArgument],
  options: [
    { flags: "--at <entry>", description: `${entryWords} (default: where it stands)` },
    { flags: "--keep-files", description: "begin with the files as they are now (default without --at)" },
    { flags: "--id <id>", description: "the id of the new session (default: a new one)" },
    { flags: "--title <text>", description: "its title (default: that of the session)" },
    ...placeOptions,
  ],
  examples: [
    {
      command: "holdfast sessions fork s_01jz... --at '~1'",
      explanation: "say the last message differently",
    },
    {
      command: "holdfast sessions fork s_01jz... --at e_01jz...",
      explanation: "at a question to a person: it is asked in the fork, too",
    },
  ],
  async run(input, terminal) {
    const { forkOne } = await import("../sessions/fork.ts");
    const what = { at: input.text("at"), id: input.text("id"), title: input.text("title") };
    return forkOne(
      { ...sessionOf(input), ...what, keepFiles: input.flag("keepFiles"), ...placeOf(input) },
      terminal,
    );
  },
};

export const rewind: RunnableCommand = {
  name: "rewind",
  summary: "move a session back to one of its entries; what stood behind it stays on a branch of its own",
  arguments: [sessionArgument],
  options: [
    { flags: "--to <entry>", description: entryWords },
    { flags: "--keep-files", description: "leave the files as they are" },
    ...placeOptions,
  ],
  examples: [
    {
      command: "holdfast sessions rewind s_01jz... --to '~1'",
      explanation: "take the last message back, with all that came of it",
    },
    {
      command: "holdfast sessions rewind s_01jz... --to '#12' --keep-files",
      explanation: "the transcript only",
    },
  ],
  async run(input, terminal) {
    const { rewindOne } = await import("../sessions/rewind.ts");
    const how = { to: input.text("to"), keepFiles: input.flag("keepFiles") };
    return rewindOne({ ...sessionOf(input), ...how, ...placeOf(input) }, terminal);
  },
};

export const compare: RunnableCommand = {
  name: "compare",
  summary: "what two sessions have done since they parted: messages, calls, cost, files",
  arguments: [
    { syntax: "<one>", description: "the id of a session" },
    { syntax: "<other>", description: "the id of another one" },
  ],
  options: [{ flags: "--diff", description: "print what differs in the files" }, ...placeOptions],
  examples: [
    {
      command: "holdfast sessions compare s_01jz... s_01k0... --diff",
      explanation: "a session and its fork",
    },
  ],
  async run(input, terminal) {
    const { comparePair } = await import("../sessions/compare.ts");
    const pair = { one: input.text("one") ?? "", other: input.text("other") ?? "" };
    return comparePair({ ...pair, diff: input.flag("diff"), ...placeOf(input) }, terminal);
  },
};

function sessionOf(input: Input) {
  return { session: input.text("session") ?? "" };
}

function placeOf(input: Input) {
  return {
    url: input.text("url"),
    dataDir: input.text("dataDir"),
    agentPath: input.text("agent"),
    json: input.flag("json"),
  };
}
