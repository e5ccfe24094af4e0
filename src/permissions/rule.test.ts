import { describe, expect, test } from "vitest";
import type { Effect } from "../log/entry.ts";
import { parseRule } from "./rule.ts";
import { ruleLike } from "./rule-like.ts";
import { policyOf } from "./rules.ts";

test.each([
  "shell",
  "*",
  "refund_*",
  "github/*",
  "github/create_issue",
  "shell(*)",
  "shell(npm test*)",
  "shell(npm run 'test:*')",
  'shell(git commit -m "a b")',
  "shell(echo \\*)",
  "write(src/**)",
  "write(./a.txt)",
  "read(.env*)",
  "edit(/etc/**)",
  "refund(amount<=50)",
  "transfer(to=bob, amount<100)",
  "transfer(to = 'bob, junior' , amount > -1.5)",
  "order(order.total>=10)",
  "mail(to~*@example.com)",
  "flag(on=true)",
  'x(a="")',
  'refund(order="a \\"b\\", (c)\\n", amount=60, nothing else)',
  "deploy(nothing else)",
])("%s is a rule", (text) => {
  expect(parseRule(text)).toMatchObject({ ok: true, rule: { text } });
});

test.each([
  ["", "it names no tool"],
  ["(a)", "it names no tool"],
  ["shell(", 'the closing ")" is missing'],
  ["shell(npm test*", 'the closing ")" is missing'],
  ["shell()", "nothing between the brackets"],
  ["my tool", "no name of a tool"],
  ["a/b/c", "no name of a tool"],
  ["shell(npm test && ls)", 'so "&" can only stand in it in quotes'],
  ["shell(ls | cat)", 'so "|" can only stand in it in quotes'],
  ["shell(ls > x)", 'so ">" can only stand in it in quotes'],
  ["shell(echo $HOME)", '"$" can only stand in quotes'],
  ["shell(echo 'a)", "a quote is opened and not closed"],
  ["refund(amount=<50)", 'did you mean "<="?'],
  ["refund(amount==50)", 'did you mean "="?'],
  ["refund(amount=>50)", 'did you mean ">="?'],
  ["refund(amount<>50)", 'did you mean "!="?'],
  ["refund(amount<ten)", "not a number"],
  ["refund(amount=)", "has no value"],
  ["refund(amount<50 currency=EUR)", "not a number"],
  ["refund(amount<50,)", "a condition is missing after the last comma"],
  ["refund(amount<50,,to=b)", '",to=b" is not a condition'],
  ["refund(nothing else, to=b)", '"nothing else" can only stand at the end'],
  ["refund(a=1, nothing else, to=b)", '"nothing else" can only stand at the end'],
  ['refund(to="C:\\dir")', "is not a text as JSON writes it"],
  ["write([z-a])", "is not a pattern of paths"],
])("%j is none: %s", (text, complaint) => {
  const parsed = parseRule(text);
  expect(parsed.ok).toBe(false);
  expect(parsed).toMatchObject({ complaint: expect.stringContaining(complaint) });
});

/** What one rule makes of one call, as the only rule in `allow`, and in `deny` (all else allowed). */
function verdicts(rule: string, name: string, input: unknown): string {
  const call = { name, input, effect: "once" as Effect };
  const own = { mode: "default", ask: [], breakpoints: [] } as const;
  const situation = { mode: "default", rules: [] } as const;
  return [
    policyOf({ ...own, allow: [rule], deny: [] })(call, situation).type,
    policyOf({ ...own, allow: ["*"], deny: [rule] })(call, situation).type,
  ].join(" ");
}

const BOTH = "allow deny";
const NEITHER = "ask allow";
/** It cannot be told: not enough to allow, enough to forbid. */
const UNCLEAR = "ask deny";

describe("names", () => {
  test.each([
    ["refund", "refund", BOTH],
    ["refund", "refunds", NEITHER],
    ["refund*", "refunds", BOTH],
    ["*", "refund", BOTH],
    ["github/*", "github__create_issue", BOTH],
    ["github/create_*", "github__create_issue", BOTH],
    ["github/*", "gitlab__create_issue", NEITHER],
    ["github/*", "github", NEITHER],
    ["git*/delete_*", "github__delete_repo", BOTH],
  ])("%s on %s: %s", (rule, name, expected) => {
    expect(verdicts(rule, name, {})).toBe(expected);
  });
});

describe("conditions", () => {
  test.each<readonly [string, unknown, string]>([
    ["x(amount<=50)", { amount: 50 }, BOTH],
    ["x(amount<=50)", { amount: 50.01 }, NEITHER],
    ["x(amount<50)", { amount: 50 }, NEITHER],
    ["x(amount>50)", { amount: 51 }, BOTH],
    ["x(amount>=50)", { amount: 49 }, NEITHER],
    ["x(amount=50)", { amount: 50 }, BOTH],
    ["x(amount=50)", { amount: 51 }, NEITHER],
    ["x(amount!=50)", { amount: 51 }, BOTH],
    ["x(amount!=50)", { amount: 50 }, NEITHER],
    ["x(amount<=50)", {}, UNCLEAR],
    ["x(amount<=50)", { amount: "10" }, UNCLEAR],
    ["x(amount<=50)", { amount: null }, UNCLEAR],
    ["x(amount<=50)", { amount: [10] }, UNCLEAR],
    ["x(amount<=50)", { amount: { valueOf: 1 } }, UNCLEAR],
    ["x(amount<=50)", null, UNCLEAR],
    ["x(amount<=50)", "10", UNCLEAR],
    ["x(amount!=50)", {}, UNCLEAR],
    ["x(amount!=50)", { amount: "50" }, NEITHER],
    ["x(amount=50)", { amount: "50" }, BOTH],
    ['x(amount="50")', { amount: 50 }, UNCLEAR],
    ["x(to=bob)", { to: "bob" }, BOTH],
    ["x(to=bob)", { to: "bobby" }, NEITHER],
    ["x(to=bob)", { to: ["bob"] }, UNCLEAR],
    ["x(to='bob, junior')", { to: "bob, junior" }, BOTH],
    ["x(to~bob*)", { to: "bobby" }, BOTH],
    ["x(to~*@example.com)", { to: "a@example.com.evil" }, NEITHER],
    ["x(to~*)", { to: 1 }, UNCLEAR],
    ["x(on=true)", { on: true }, BOTH],
    ["x(on=true)", { on: false }, NEITHER],
    ["x(on=true)", { on: "true" }, BOTH],
    ["x(on=null)", { on: null }, BOTH],
    ['x(a="")', { a: "" }, BOTH],
    ["x(order.total>=10)", { order: { total: 10 } }, BOTH],
    ["x(order.total>=10)", { order: { total: 9 } }, NEITHER],
    ["x(order.total>=10)", { "order.total": 10 }, UNCLEAR],
    ["x(order.total>=10)", { order: [10] }, UNCLEAR],
    ["x(to=bob, amount<100)", { to: "bob", amount: 99 }, BOTH],
    ["x(to=bob, amount<100)", { to: "eve", amount: 99 }, NEITHER],
    ["x(to=bob, amount<100)", { to: "bob" }, UNCLEAR],
    ["x(to=bob, amount<100)", { to: "eve" }, NEITHER],
    ['x(to="a\\"b, (c)\\n")', { to: 'a"b, (c)\n' }, BOTH],
    ["x(a=1, nothing else)", { a: 1 }, BOTH],
    ["x(a=1, nothing else)", { a: "1" }, UNCLEAR],
    ['x(a="1", nothing else)', { a: 1 }, UNCLEAR],
    ["x(a=true, nothing else)", { a: "true" }, UNCLEAR],
    ["x(a=bob, nothing else)", { a: "bob" }, BOTH],
    ["x(a=1, nothing else)", { a: 1, b: null }, NEITHER],
    ["x(a=1, nothing else)", {}, UNCLEAR],
    ["x(a.b=1, nothing else)", { a: { b: 1 } }, BOTH],
    ["x(a.b=1, nothing else)", { a: { b: 1, c: {} } }, NEITHER],
    ["x(a.b=1, nothing else)", { a: { b: 1 }, c: 1 }, NEITHER],
    ["x(a.b=1, nothing else)", { a: [1] }, NEITHER],
    ["x(a<=5, nothing else)", { a: 4 }, BOTH],
    ["x(nothing else)", {}, BOTH],
    ["x(nothing else)", { a: 1 }, NEITHER],
    ["x(nothing else)", null, UNCLEAR],
    ["x(constructor=1)", {}, UNCLEAR],
    ["x(__proto__.a=1)", {}, UNCLEAR],
  ])("%s on %j: %s", (rule, input, expected) => {
    expect(verdicts(rule, "x", input)).toBe(expected);
  });
});

describe("paths", () => {
  test.each<readonly [string, string, string]>([
    ["write(src/**)", "src/a.ts", BOTH],
    ["write(src/**)", "src/a/b/c.ts", BOTH],
    ["write(src/**)", "./src/a.ts", BOTH],
    ["write(src/**)", "src/../src/a.ts", BOTH],
    ["write(src/**)", "/workspace/src/a.ts", BOTH],
    ["write(src/**)", "//workspace//src/a.ts", BOTH],
    ["write(src/**)", "src/../x", NEITHER],
    ["write(src/**)", "source/a.ts", NEITHER],
    ["write(src/**)", "a/src/b", NEITHER],
    ["write(src/**)", "../src/a.ts", NEITHER],
    ["write(src/**)", "/src/a.ts", NEITHER],
    ["write(src/**)", "src/../../src/a", NEITHER],
    ["write(src/*.ts)", "src/a.ts", BOTH],
    ["write(src/*.ts)", "src/a/b.ts", NEITHER],
    ["write(./src/*.ts)", "src/a.ts", BOTH],
    ["write(*.md)", "README.md", BOTH],
    ["write(*.md)", "docs/a.md", BOTH],
    ["write(./*.md)", "docs/a.md", NEITHER],
    ["write(./a.md)", "a.md", BOTH],
    ["write(./a.md)", "x/a.md", NEITHER],
    ["write(**)", "a/b", BOTH],
    ["write(/etc/**)", "/etc/passwd", BOTH],
    ["write(/etc/**)", "/etc/x/../passwd", BOTH],
    ["write(/etc/**)", "/etc/../root/x", NEITHER],
    ["write(/etc/**)", "etc/passwd", NEITHER],
    ["write(../**)", "../x", BOTH],
    ["write({a,b}/*)", "b/x", BOTH],
    ["write([ab].txt)", "b.txt", BOTH],
    ["write(**/x.ts)", "x.ts", BOTH],
    // Outside: what has no folder forbids everywhere, and allows only in the workspace.
    ["write(**)", "/etc/passwd", UNCLEAR],
    ["write(**)", "../x", UNCLEAR],
    ["write(*.md)", "/tmp/a.md", UNCLEAR],
    ["write(.env*)", "../../.env", UNCLEAR],
  ])("%s on %s: %s", (rule, path, expected) => {
    expect(verdicts(rule, "write", { path, content: "" })).toBe(expected);
  });

  test("a path that is missing, no text or too long is unclear", () => {
    for (const input of [{}, { path: 1 }, { path: ["src/a"] }, { path: `src/${"a/".repeat(4000)}` }]) {
      expect(verdicts("write(src/**)", "write", input)).toBe(UNCLEAR);
    }
  });

  test("what forbids writing a file forbids editing it, and the other way round; what allows does not", () => {
    expect(verdicts("write(a)", "edit", { path: "a" })).toBe(UNCLEAR);
    expect(verdicts("edit(a)", "write", { path: "a" })).toBe(UNCLEAR);
    expect(verdicts("read(a)", "write", { path: "a" })).toBe(NEITHER);
  });
});

describe("commands", () => {
  test.each<readonly [string, string, string]>([
    ["shell(make*)", "make", BOTH],
    ["shell(make*)", "makefile", BOTH],
    ["shell(make *)", "make", BOTH],
    ["shell(make *)", "make all", BOTH],
    ["shell(make *)", "makefile", NEITHER],
    ["shell(make)", "make", BOTH],
    ["shell(make)", "make all", NEITHER],
    ["shell(make all)", "make   all", BOTH],
    ["shell(make all)", "make 'all'", BOTH],
    ["shell(make all)", "'make all'", UNCLEAR],
    ["shell(make 'a b')", "make a\\ b", BOTH],
    ["shell(make 'a b')", "make a b", UNCLEAR],
    ["shell(make '*')", "make \\*", BOTH],
    ["shell(make '*')", "make x", NEITHER],
    ["shell(* --force)", "deploy --force", BOTH],
    ["shell(* --force)", "deploy --force now", NEITHER],
    ["shell(deploy*--force*)", "deploy a --force b", BOTH],
    ["shell(/opt/x *)", "/opt/x a", BOTH],
    ["shell(deploy *)", "/opt/deploy a", UNCLEAR],
    ["shell(deploy *)", "./deploy a", UNCLEAR],
    ["shell(deploy prod*)", "deploy -v prod", UNCLEAR],
    ["shell(sudo apt-get update)", "sudo apt-get update", BOTH],
    ["shell(sudo *)", "sudo apt-get update", UNCLEAR],
    ["shell(*)", "anything | at all", BOTH],
    ["shell", "anything | at all", BOTH],
  ])("%s on %s: %s", (rule, command, expected) => {
    expect(verdicts(rule, "shell", { command })).toBe(expected);
  });
});

describe("always allow this", () => {
  test.each<readonly [string, unknown, readonly string[]]>([
    ["shell", { command: "npm test" }, ["shell(npm test)"]],
    ["shell", { command: "npm test && npm run 'a b'" }, ["shell(npm test)", "shell(npm run 'a b')"]],
    ["shell", { command: "npm run 'test:*'" }, ["shell(npm run 'test:*')"]],
    ["shell", { command: 'npm run "it\'s"' }, ["shell(npm run 'it'\\''s')"]],
    ["shell", { command: "make | tail -5" }, ["shell(make)"]],
    ["shell", { command: "make > out.txt" }, ["shell(make)", "write(./out.txt)"]],
    ["shell", { command: "make > 'a[1].txt'" }, ["shell(make)", "write(./a\\[1\\].txt)"]],
    ["shell", { command: "make $x" }, []],
    ["shell", { command: "make > $x" }, []],
    ["shell", { command: "curl x | sh" }, []],
    ["shell", { command: "if" }, []],
    ["write", { path: "src/a.ts", content: "" }, ["write(./src/a.ts)"]],
    ["write", { path: "/workspace/a*.ts", content: "" }, ["write(./a\\*.ts)"]],
    ["edit", { path: "/etc/x" }, ["edit(/etc/x)"]],
    ["edit", {}, []],
    ["refund", { order: "1", amount: 60 }, ['refund(order="1", amount=60, nothing else)']],
    ["refund", { a: 'say "x", (y)\n' }, ['refund(a="say \\"x\\", (y)\\n", nothing else)']],
    ["refund", { a: "\u202ex" }, ['refund(a="\\u202ex", nothing else)']],
    ["refund", { a: { b: true, c: { d: null } } }, ["refund(a.b=true, a.c.d=null, nothing else)"]],
    ["refund", { a: 1e21, b: -1e-7 }, ["refund(a=1e+21, b=-1e-7, nothing else)"]],
    ["refund", { a: [1] }, []],
    ["refund", { a: {} }, []],
    ["refund", { "a.b": 1 }, []],
    ["refund", { "a b": 1 }, []],
    ["refund", { a: "x".repeat(500) }, []],
    ["refund", "x", []],
    ["github__create_issue", {}, ["github__create_issue(nothing else)"]],
  ])("%s %j: %j", (name, input, rules) => {
    expect(ruleLike({ name, input, effect: "once" })).toEqual(rules);
    if (rules.length === 0) return;
    const policy = policyOf({ mode: "default", deny: [], ask: [], allow: rules, breakpoints: [] });
    expect(policy({ name, input, effect: "once" }, { mode: "default", rules: [] }).type).toBe("allow");
  });
});
