import { describe, expect, test } from "vitest";
import { isAppError } from "../lib/errors.ts";
import { answerSchema } from "./answer-schemas.ts";
import { costQuerySchema } from "./ledger-schemas.ts";
import { eventsQuerySchema, execSchema, invocationSchema } from "./schemas.ts";
import { validate } from "./validate.ts";

function complaintOf(schema: Parameters<typeof validate>[0], data: unknown): string {
  try {
    validate(schema, data, "body");
  } catch (error) {
    if (isAppError(error, "invalid_input")) return error.message;
    throw error;
  }
  return "";
}

describe("validate", () => {
  test.each([
    [invocationSchema, undefined, "missing; expected an object"],
    [invocationSchema, {}, "prompt: expected text or a list"],
    [invocationSchema, { promt: "hi", prompt: "hi" }, 'promt: unknown field; did you mean "prompt"?'],
    [
      invocationSchema,
      { prompt: "hi", colour: 1 },
      "colour: unknown field; known here: prompt, model, delivery, mode, actor, agent",
    ],
    [invocationSchema, { prompt: 3 }, "prompt: expected text or a list"],
    [invocationSchema, { prompt: "" }, "prompt: too small"],
    [invocationSchema, { prompt: "hi", model: 5 }, "model: expected string, received number"],
    [invocationSchema, { prompt: [{ type: "txt", text: "a" }] }, "prompt[0].type: "],
    [
      invocationSchema,
      { prompt: [{ type: "text", txt: "a" }] },
      'prompt[0].txt: unknown field; did you mean "text"?',
    ],
    [invocationSchema, [], "expected object, received array"],
    [execSchema, { command: "ls", timeoutMs: 0 }, "timeoutMs: too small"],
    [eventsQuerySchema, { after: "abc" }, "after: "],
    [eventsQuerySchema, { format: "xml" }, "format: "],
  ] as const)("%# names what is wrong", (schema, data, expected) => {
    expect(complaintOf(schema, data)).toContain(expected);
  });

  test("names every mistake at once, as data too", () => {
    try {
      validate(invocationSchema, { promt: "a", model: 1 }, "body");
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        details: { problems: [{ field: "prompt" }, { field: "model" }, { field: "promt" }] },
      });
    }
  });

  test("does not suggest a field to itself where another form of the value has it", () => {
    expect(complaintOf(answerSchema, { action: "end", limitUsd: 2 })).toContain(
      "limitUsd: this field does not go with the others",
    );
  });

  test("knows times that have a day, and says so of others", () => {
    const dayAfter = (since: string) => complaintOf(costQuerySchema, { since });
    for (const since of ["9999999999999999", "300000000000000", "-271820-01-01", "+275760-01-01"]) {
      expect(dayAfter(since)).toContain("since: expected a time such as 2026-01-31");
    }
    expect(validate(costQuerySchema, { since: "2026-01-31" }, "query").since).toBe(Date.UTC(2026, 0, 31));
    expect(validate(costQuerySchema, { since: "1769817600000" }, "query").since).toBe(Date.UTC(2026, 0, 31));
  });

  test("fills in defaults", () => {
    expect(validate(eventsQuerySchema, { after: "12" }, "query")).toEqual({
      after: 12,
      format: "sse",
      limit: 100,
    });
  });
});
