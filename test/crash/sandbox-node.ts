/** A node whose agent runs one slow command in its sandbox; the test kills it under it. */
import { openRuntime } from "../../src/index.ts";
import { createScriptedModel } from "../../src/testing/testing.ts";

const [dataDir = ""] = process.argv.slice(2);
const model = createScriptedModel({
  turns: [
    {
      calls: [
        {
          tool: "shell",
          input: { command: "echo started >> marker; echo going; sleep 3; echo done; wc -l < marker" },
        },
      ],
    },
    { text: "The command said: {{result.shell}}" },
  ],
});

await using runtime = await openRuntime({
  agents: [
    {
      name: "worker",
      systemPrompt: "You work.",
      model: "scripted",
      permissions: { allow: ["*"] },
      sandbox: { isolation: "process" },
    },
  ],
  dataDir,
  models: () => model,
});
const session = await runtime.session({ id: "session" });
const run = await session.send("Go.", { idempotencyKey: "go" });
for await (const event of run) {
  if (event.type === "entry") process.stdout.write(`${event.entry.type}\n`);
  if (event.type === "toolOutput") process.stdout.write(event.text);
}
