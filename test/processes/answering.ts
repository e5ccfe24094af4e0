import { createInterface } from "node:readline";
import { defineTool, type InterruptAnswer, isAppError, openRuntime } from "../../src/index.ts";
import { refundSchema } from "./refund-schema.ts";

/**
 * A process that gives answers and does not work. Arguments: data directory, its name. Each line on stdin is a JSON object
 * (`Answers`); it gives all of them at once, and writes what came of each as one line (`Given[]`).
 */
export interface Answers {
  readonly sessionId: string;
  readonly interruptId: string;
  readonly answers: readonly InterruptAnswer[];
}

export interface Given {
  readonly actor: string;
  readonly answer: InterruptAnswer;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;
}

const [dataDir = "", name = ""] = process.argv.slice(2);
const refund = defineTool({
  name: "refund",
  description: "Pays an order back.",
  input: refundSchema,
  run: () => "never here",
});
await using runtime = await openRuntime({
  agents: [{ name: "tester", systemPrompt: "You are tested.", model: "scripted/tester", tools: [refund] }],
  dataDir,
  models: () => ({ id: "scripted/tester", stream: () => neverAsked() }),
  work: "none",
});
process.stdout.write("ready\n");

for await (const line of createInterface({ input: process.stdin })) {
  const { sessionId, interruptId, answers } = JSON.parse(line) as Answers;
  const given = await Promise.all(
    answers.map(async (answer, i): Promise<Given> => {
      const actor = `${name}-${i}`;
      try {
        await runtime.sessions.answer(sessionId, interruptId, answer, { actor, channel: "test" });
        return { actor, answer, outcome: "ok", details: undefined };
      } catch (error) {
        if (!isAppError(error)) throw error;
        return { actor, answer, outcome: error.code, details: error.details };
      }
    }),
  );
  process.stdout.write(`${JSON.stringify(given)}\n`);
}

function neverAsked(): never {
  throw new Error("this process does not work");
}
