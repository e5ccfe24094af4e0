import { jsonOption, type RunnableCommand, serverOption } from "../command.ts";
import { sendingOptions, sendingWishes } from "../sending.ts";

export const invoke: RunnableCommand = {
  name: "invoke",
  summary: "give an agent of a server a job and watch it work",
  arguments: [
    { syntax: "[agent]", description: "its name; may be left out where the server has only one" },
    { syntax: "[prompt]", description: 'what to do; "-", or nothing in a pipe: read from standard input' },
  ],
  options: [
    { ...serverOption, description: "the server (default: HOLDFAST_URL, or http://127.0.0.1:8080)" },
    { flags: "--session <id>", description: "continue this session, or create it" },
    ...sendingOptions,
    { ...jsonOption, description: "print events as JSON lines (RunEvent), and errors as JSON on stderr" },
  ],
  examples: [
    {
      command: 'holdfast invoke analyst "Which store did worst?"',
      explanation: "exit codes as of `run`; the run goes on if the connection is lost, Ctrl-C stops it",
    },
    {
      command: "HOLDFAST_TOKEN=... holdfast invoke --url https://agents.example.test --session s1 -",
      explanation: "elsewhere, with a token, the prompt from standard input",
    },
  ],
  async run(input, terminal) {
    const { invokeAgent } = await import("../invoke-agent.ts");
    const [first, second] = [input.text("agent"), input.text("prompt")];
    return invokeAgent(
      {
        // A single word is the prompt.
        agent: second === undefined ? undefined : first,
        prompt: second ?? first,
        url: input.text("url"),
        session: input.text("session"),
        ...sendingWishes(input),
        json: input.flag("json"),
      },
      terminal,
    );
  },
};
