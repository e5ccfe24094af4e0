import {
  agentOption,
  type CommandGroup,
  dataDirOption,
  type Input,
  jsonOption,
  type RunnableCommand,
  serverOption,
} from "../command.ts";
import { compare, fork, rewind, tree } from "./time-travel.ts";
import { exporting, importing } from "./transfer.ts";

const sessionArgument = { syntax: "<session>", description: "its id" };
const place = [dataDirOption, serverOption];
const placeOfOne = [agentOption, ...place];

const list: RunnableCommand = {
  name: "list",
  summary: "sessions, the latest change first",
  options: [
    { flags: "--agent <name>", description: "only those of this agent" },
    {
      flags: "--status <status>",
      description: "only those that are idle, queued, running or waiting (for a person)",
    },
    {
      flags: "--ended <reason>",
      description: "only those whose last run ended so: endTurn, failed, stopped, abandoned, budget, ...",
    },
    { flags: "--limit <number>", description: "at most so many, up to 1000 (default: 20)" },
    { flags: "--after <cursor>", description: "go on where a page ended: what its last line says" },
    ...place,
    jsonOption,
  ],
  examples: [
    {
      command: "holdfast sessions list --status running",
      explanation: "what works now, or was left unfinished",
    },
    {
      command: "holdfast sessions list --ended abandoned",
      explanation: "what was given up because nobody answered",
    },
    {
      command: "holdfast sessions list --json | jq '.sessions[].costUsd'",
      explanation: "for programs: {sessions: [...], next}, as GET /v1/sessions",
    },
  ],
  async run(input, terminal) {
    const { listSessions } = await import("../sessions/list.ts");
    const filter = {
      agent: input.text("agent"),
      status: input.text("status"),
      ended: input.text("ended"),
    };
    const page = { limit: input.text("limit"), after: input.text("after") };
    return listSessions({ ...placeOf(input), ...filter, ...page, agentPath: undefined }, terminal);
  },
};

const show: RunnableCommand = {
  name: "show",
  summary: "the transcript of a session, with calls, outcomes, time and cost",
  arguments: [sessionArgument],
  options: [...placeOfOne, jsonOption],
  examples: [
    {
      command: "holdfast sessions show s_01jz...",
      explanation: "everything that happened, and what it cost",
    },
    { command: "holdfast sessions show s_01jz... --json", explanation: "for programs: {session, entries}" },
  ],
  async run(input, terminal) {
    const { showSession } = await import("../sessions/show.ts");
    return showSession({ session: input.text("session") ?? "", ...placeOf(input) }, terminal);
  },
};

const tail: RunnableCommand = {
  name: "tail",
  summary: "follow a session: what happened, then what happens, until Ctrl-C",
  arguments: [sessionArgument],
  options: [
    {
      flags: "--after <number>",
      description: "leave out entries up to this one (default: 0, from the start)",
    },
    { flags: "--until-idle", description: "end when the session has nothing to do any more" },
    ...placeOfOne,
    { ...jsonOption, description: "print events as JSON lines (RunEvent), and errors as JSON on stderr" },
  ],
  examples: [
    { command: "holdfast sessions tail s_01jz... --url http://127.0.0.1:8080", explanation: "watch it work" },
    {
      command: "holdfast sessions tail s_01jz... --after 120 --until-idle --json",
      explanation: "for a program that has seen the first 120 entries",
    },
  ],
  async run(input, terminal) {
    const { tailSession } = await import("../sessions/tail.ts");
    const from = { after: input.text("after"), untilIdle: input.flag("untilIdle") };
    return tailSession({ session: input.text("session") ?? "", ...from, ...placeOf(input) }, terminal);
  },
};

const stop: RunnableCommand = {
  name: "stop",
  summary: "end the run of a session: its model request, commands and timers",
  arguments: [sessionArgument],
  options: [...placeOfOne, jsonOption],
  examples: [
    {
      command: "holdfast sessions stop s_01jz...",
      explanation: "works with and without a running server; the session itself stays and can be continued",
    },
  ],
  async run(input, terminal) {
    const { stopSession } = await import("../sessions/stop.ts");
    return stopSession({ session: input.text("session") ?? "", ...placeOf(input) }, terminal);
  },
};

const deletion: RunnableCommand = {
  name: "delete",
  summary: "delete sessions for good: transcript, sandbox and files",
  arguments: [{ syntax: "[sessions...]", description: "their ids" }],
  options: [
    { flags: "--older-than <duration>", description: "instead: all idle ones not changed for so long" },
    { flags: "--yes", description: "do not ask" },
    ...placeOfOne,
    jsonOption,
  ],
  examples: [
    {
      command: "holdfast sessions delete s_01jz...",
      explanation: "one that does not run; its forks stay whole",
    },
    { command: "holdfast sessions delete --older-than 30d --yes", explanation: "for a nightly job" },
  ],
  async run(input, terminal) {
    const { deleteSessions } = await import("../sessions/delete.ts");
    const which = { sessions: input.list("sessions"), olderThan: input.text("olderThan") };
    return deleteSessions({ ...which, yes: input.flag("yes"), ...placeOf(input) }, terminal);
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

export const sessions: CommandGroup = {
  name: "sessions",
  summary: "look at sessions, follow, stop, fork, move back, compare, export and delete them",
  commands: [list, show, tail, stop, tree, fork, rewind, compare, exporting, importing, deletion],
};
