import { describe, expect, it } from "vitest";
import { type Message, noUsage } from "../log/content.ts";
import { fold } from "../log/fold.ts";
import { agentWith } from "../testing/agent-builder.ts";
import {
  created,
  entries,
  modelIsCalled,
  modelSays,
  runStarts,
  text,
  userSays,
} from "../testing/log-builder.ts";
import { contextTokens, estimateMessage, estimateText } from "./tokens.ts";

const agent = agentWith();

describe("an estimate", () => {
  it.each([
    ["English", "The quick brown fox jumps over the lazy dog.", 9, 13],
    ["German", "Der schnelle braune Fuchs springt über den faulen Hund.", 11, 18],
    ["Russian", "Быстрая коричневая лиса прыгает через ленивую собаку.", 12, 27],
    ["Chinese", "敏捷的棕色狐狸跳过了懒狗。", 8, 20],
    ["nothing", "", 0, 0],
  ])("of %s is within what tokenizers say", (_name, value, least, most) => {
    expect(estimateText(value)).toBeGreaterThanOrEqual(least);
    expect(estimateText(value)).toBeLessThanOrEqual(most);
  });

  it("counts an image by its size, and at most once what a provider shrinks it to", () => {
    const image = (data: string): Message => ({
      role: "user",
      blocks: [{ type: "image", mediaType: "image/gif", data }],
    });
    const small = estimateMessage(image(gif(300, 250)));
    expect(small).toBeGreaterThanOrEqual(100);
    expect(small).toBeLessThan(110);
    expect(estimateMessage(image(gif(8_000, 8_000)))).toBeLessThan(1_700);
  });
});

describe("the tokens of the next request", () => {
  const asked = [created(), userSays("x".repeat(4_000)), runStarts()];

  it("are estimated while nobody has counted", () => {
    const state = fold(entries(...asked));
    const empty = contextTokens(fold([]), agent);
    expect(empty).toBeGreaterThan(500);
    expect(contextTokens(state, agent) - empty).toBeCloseTo(1_000, -1);
  });

  it("are what the provider counted, and an estimate of what came since", () => {
    const usage = { ...noUsage, input: 100, cacheRead: 7_000, output: 50 };
    const counted = [...asked, modelIsCalled(), modelSays([text("ok")], { usage })];
    expect(contextTokens(fold(entries(...counted)), agent)).toBe(7_150);
    const more = contextTokens(fold(entries(...counted, userSays("y".repeat(400)))), agent);
    expect(more - 7_150).toBeGreaterThanOrEqual(100);
    expect(more - 7_150).toBeLessThan(110);
  });

  it("count what is about to join the transcript", () => {
    const waiting = [...asked, modelIsCalled(), userSays("z".repeat(400))];
    const state = fold(entries(...waiting));
    expect(state.messages).toHaveLength(1);
    const without = contextTokens(fold(entries(...asked, modelIsCalled())), agent);
    expect(contextTokens(state, agent) - without).toBeGreaterThanOrEqual(100);
  });
});

/** A picture of one colour, as far as its header goes. */
function gif(width: number, height: number): string {
  const bytes = Buffer.from("GIF89a\0\0\0\0\0\0\0,\0\0\0\0\0\0\0\0\0\x02\x02D\x01\0;", "latin1");
  bytes.writeUInt16LE(width, 6);
  bytes.writeUInt16LE(height, 8);
  return bytes.toString("base64");
}
