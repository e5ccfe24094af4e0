import { expect, test } from "vitest";
import type { JsonObject } from "../lib/json.ts";
import { ruleLike } from "./rule-like.ts";
import { policyOf } from "./rules.ts";

/** "Always" allows the very call that somebody has seen: random arguments, and all that is one step away from them. */

const SCALARS = [
  ...[0, 1, -1, 60, 60.5, 1e21, -1e-9, true, false, null],
  ...[
    "",
    "1",
    "60",
    "true",
    "null",
    "a",
    "A",
    " a ",
    "a, b=2",
    'a"b',
    "it's",
    "a)",
    "(a",
    "\\",
    "\\n",
    "\n",
    "*",
  ],
  ...["nothing else", "\u202e", "\u0000", "\ud800", "🙂", "🙃"],
];
const NAMES = ["a", "b", "a-b", "a_1", "constructor", "__proto__"];

/** mulberry32 */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function randomArguments(random: (below: number) => number, depth = 0): JsonObject {
  const names = NAMES.filter(() => random(2) === 0);
  const fields = (names.length === 0 && depth > 0 ? ["a"] : names).map((name) => {
    const scalar = SCALARS[random(SCALARS.length)] ?? null;
    return [name, depth < 2 && random(4) === 0 ? randomArguments(random, depth + 1) : scalar] as const;
  });
  return Object.fromEntries(fields);
}

function* neighbours(input: JsonObject): Generator<unknown> {
  yield { ...input, more: 1 };
  yield { ...input, more: null };
  yield [input];
  for (const [name, value] of Object.entries(input)) {
    const others = Object.entries(input).filter(([other]) => other !== name);
    const replaced = (by: unknown) => Object.fromEntries([...others, [name, by]]);
    yield Object.fromEntries(others);
    yield Object.fromEntries([...others, [`${name}x`, value]]);
    for (const scalar of SCALARS) if (!Object.is(scalar, value)) yield replaced(scalar);
    yield replaced([value]);
    yield replaced({});
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const inner of neighbours(value as JsonObject)) yield replaced(inner);
    } else {
      yield replaced({ a: value });
    }
  }
}

test("the rule of a call allows that call, and none that differs in a field", () => {
  const random = numbers(7);
  let tried = 0;
  for (let round = 0; round < 150; round++) {
    const input = randomArguments(random);
    const call = { name: "refund", input, effect: "once" } as const;
    const allow = ruleLike(call);
    if (allow.length === 0 && JSON.stringify(input).length > 250) continue;
    tried++;
    expect(allow, JSON.stringify(input)).toHaveLength(1);
    const policy = policyOf({ mode: "default", deny: [], ask: [], allow, breakpoints: [] });
    const verdict = (other: unknown) =>
      policy({ ...call, input: other }, { mode: "default", rules: [] }).type;
    expect(verdict(structuredClone(input)), allow[0]).toBe("allow");
    for (const other of neighbours(input)) {
      if (verdict(other) === "allow") expect.fail(`${allow[0]} allows ${JSON.stringify(other)}`);
    }
  }
  expect(tried).toBeGreaterThan(75);
});
