import { z } from "zod";
import type { JsonSchema } from "../../lib/json.ts";
import { defineTool } from "../define.ts";
import type { Answer, Tool } from "../tool.ts";

const input = z.strictObject({
  question: z
    .string()
    .min(1)
    .describe("What you want to know, with all that somebody needs to answer it who has not read along."),
  options: z
    .array(z.string().min(1).max(200))
    .min(2)
    .max(10)
    .optional()
    .describe(
      "The answers to choose from, the one that you would take first. Without them any text can be answered.",
    ),
  several: z.boolean().optional().describe("More than one of the options may be chosen. Default false."),
});

/**
 * The tool with which a model asks a person, and gets the answer as its result: `{ "type": "ask" }` in harness.json. Not among the
 * tools that every agent has, since many agents have nobody to ask.
 */
export function askUser(): Tool {
  return defineTool({
    name: "ask_user",
    description: [
      "Asks a person a question, and waits for the answer, for days if it has to.",
      "Use it when you cannot go on without a decision or a fact that only a person has, and guessing wrong would cost much.",
      "Not for what you can find out yourself, for what has been said already, or to have your plan confirmed.",
      "Ask everything that you need in one go: calls of one answer are asked together.",
    ].join("\n"),
    input,
    effect: "readonly",
    risk: { reversibility: "none", reach: "session", why: ["it asks a person, and changes nothing"] },
    async run({ question, options, several = false }, { ask }) {
      const schema = options === undefined ? undefined : schemaOf(options, several);
      return toldAs(await ask({ message: question, ...(schema === undefined ? {} : { schema }) }));
    },
  });
}

function schemaOf(options: readonly string[], several: boolean): JsonSchema {
  const one = { type: "string", enum: [...new Set(options)] };
  return several ? { type: "array", items: one, minItems: 1, uniqueItems: true } : one;
}

function toldAs(answer: Answer): string {
  switch (answer.type) {
    case "answered": {
      const { value, actor } = answer;
      return `${actor ?? "The person"} has answered:\n${typeof value === "string" ? value : JSON.stringify(value)}`;
    }
    case "rejected": {
      const why = answer.feedback === null ? "." : ` and says:\n${answer.feedback}`;
      return `${answer.actor ?? "The person"} has not answered the question${why}`;
    }
    case "expired":
      return "Nobody has answered in time. Go on with what you can do without the answer, and say what is left to be decided.";
  }
}
