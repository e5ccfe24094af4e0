import { agentOption, dataDirOption, type RunnableCommand, serverOption } from "../command.ts";

export const exec: RunnableCommand = {
  name: "exec",
  summary: "run a command in the sandbox of a session, without the model",
  arguments: [
    { syntax: "<session>", description: "its id" },
    {
      syntax: "<command...>",
      description: 'after "--": several words are a program and its arguments, one word is a bash script',
    },
  ],
  options: [
    { flags: "--cwd <path>", description: "the directory, in the workspace (default: the workspace)" },
    { flags: "--timeout <duration>", description: 'after this it is killed (default: "10m")' },
    agentOption,
    dataDirOption,
    serverOption,
  ],
  examples: [
    {
      command: "holdfast exec s_01jz... -- ls -la",
      explanation:
        "output and exit code are the command's; 124: timed out, 128 + n: ended by signal n, 130: Ctrl-C",
    },
    {
      command: "holdfast exec s_01jz... -- 'sort | uniq -c | sort -n' < words.txt",
      explanation: "a bash script; standard input is passed on when it is a pipe or a file",
    },
  ],
  async run(input, terminal) {
    const { execInSession } = await import("../exec-in-session.ts");
    return execInSession(
      {
        session: input.text("session") ?? "",
        words: input.list("command"),
        cwd: input.text("cwd"),
        timeout: input.text("timeout"),
        agentPath: input.text("agent"),
        dataDir: input.text("dataDir"),
        url: input.text("url"),
      },
      terminal,
    );
  },
};
