import { agentOption, dataDirOption, jsonOption, type RunnableCommand, serverOption } from "../command.ts";

export const context: RunnableCommand = {
  name: "context",
  summary: "what the model would be sent next in a session, and what each part of it takes",
  arguments: [{ syntax: "<session>", description: "its id" }],
  options: [
    { flags: "--request", description: "print the exact next request, as JSON" },
    agentOption,
    dataDirOption,
    serverOption,
    jsonOption,
  ],
  examples: [
    {
      command: "holdfast context s_01jz...",
      explanation: "system prompt by sections, tools, messages, and how full the window is",
    },
    {
      command: "holdfast context s_01jz... --request | jq -r .system",
      explanation: "the system prompt itself",
    },
  ],
  async run(input, terminal) {
    const { showContext } = await import("../show-context.ts");
    const wishes = { session: input.text("session") ?? "", request: input.flag("request") };
    const place = { url: input.text("url"), dataDir: input.text("dataDir"), agentPath: input.text("agent") };
    return showContext({ ...wishes, ...place, json: input.flag("json") }, terminal);
  },
};
