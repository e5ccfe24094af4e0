import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRuntime, type Runtime } from "../src/index.ts";
import { createScriptedModel, type Script } from "../src/testing/testing.ts";
import { median } from "./measure.ts";

/**
 * From the request to stop until the log says that the run has stopped, in a process of its own: while an answer is being
 * written, and while a command runs that has started another one in a session of its own.
 *
 *     node bench/stop.ts ROUNDS
 */
const rounds = Number(process.argv[2]);

const answering: Script = {
  turns: [{ text: "word ".repeat(1_000), chunkSize: 5, delayMs: 20, times: "any" }],
};
const working: Script = {
  turns: [
    {
      calls: [{ tool: "shell", input: { command: "setsid sleep 600 & echo ready; sleep 600" } }],
      times: "any",
    },
  ],
};

const answerMs = await measure(answering, "textDelta");
const commandMs = await measure(working, "toolOutput");
console.log(JSON.stringify({ answerMs, commandMs }));
process.exit();

/** Stops as soon as an event of the given type shows that the work is under way. */
async function measure(script: Script, underWay: string): Promise<number> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-bench-stop-"));
  const times: number[] = [];
  {
    await using runtime = await openRuntime({
      dataDir,
      agents: [
        {
          name: "bench",
          systemPrompt: "You are measured.",
          model: "scripted/bench",
          permissions: { allow: ["*"] },
        },
      ],
      models: () => createScriptedModel(script, { record: false }),
    });
    for (let i = 0; i <= rounds; i++) {
      const ms = await stopOnce(runtime, underWay);
      // The first one also finds out what this machine can do.
      if (i > 0) times.push(ms);
    }
  }
  await rm(dataDir, { recursive: true, force: true });
  return median(times);
}

async function stopOnce(runtime: Runtime, underWay: string): Promise<number> {
  const session = await runtime.session();
  for await (const event of await session.send("Go")) {
    if (event.type !== underWay) continue;
    const since = performance.now();
    await session.stop();
    return performance.now() - since;
  }
  throw new Error("the run ended before it could be stopped");
}
