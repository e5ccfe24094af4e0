import { expect, test } from "vitest";
import { policyOf } from "./rules.ts";

/**
 * A forbidden command, wrapped at random in what a shell has to hide it in, several times over: it is never allowed. And a harmless
 * one, wrapped in the same way, is not refused, so that this is not said of everything.
 */
const WRAPPERS: readonly ((line: string) => string)[] = [
  (line) => `npm test && ${line}`,
  (line) => `ls; ${line}`,
  (line) => `ls | ${group(line)}`,
  (line) => `${group(line)} | cat`,
  (line) => `(${line}\n)`,
  (line) => group(line),
  (line) => `echo "$(${line}\n)"`,
  (line) => `echo $(${line}\n) done`,
  (line) => `x=$(${line}\n)`,
  (line) => `cat <(${line}\n)`,
  (line) => `if ls; then ${line}\nfi`,
  (line) => `if ${line}\nthen ls; fi`,
  (line) => `for i in 1 2; do ${line}\ndone`,
  (line) => `for i in $(${line}\n); do ls; done`,
  (line) => `while ${line}\ndo ls; done`,
  (line) => `case a in a) ${line}\n;; esac`,
  (line) => `f() { ${line}\n}; ls`,
  (line) => `! ${group(line)}`,
  (line) => `time ${group(line)}`,
  (line) => `bash -c ${quote(line)}`,
  (line) => `env A=1 bash -c ${quote(line)}`,
  (line) => `eval ${quote(line)}`,
  (line) => `trap ${quote(line)} EXIT`,
  (line) => `timeout 5 nohup bash -c ${quote(line)}`,
  (line) => `find . -exec bash -c ${quote(line)} \\;`,
  (line) => `ls | xargs -n1 bash -c ${quote(line)}`,
  (line) => `bash <<'END${line.length}'\n${line}\nEND${line.length}\n`,
  (line) => `cat <<END${line.length}\n$(${line}\n)\nEND${line.length}\n`,
  (line) => `echo \${x:-$(${line}\n)}`,
  (line) => `[[ -n $(${line}\n) ]]`,
  (line) => `{ ls; ${line}\n} 2>/dev/null`,
];

const FORBIDDEN = [
  "rm x",
  "rm -rf /",
  "r''m x",
  "\\rm x",
  "/bin/rm x",
  "'rm' x",
  "env rm x",
  "find . -delete",
  "xargs rm",
  "command rm x",
];
const HARMLESS = ["ls x", "npm test", "echo a", "wc -l x", "git status"];

/** mulberry32 */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function wrapped(commands: readonly string[], random: (below: number) => number): string {
  let line = commands[random(commands.length)] ?? "";
  for (let times = random(4); times >= 0; times--) line = WRAPPERS[random(WRAPPERS.length)]?.(line) ?? line;
  return line;
}

function group(line: string): string {
  return `{ ${line}\n}`;
}

function quote(line: string): string {
  return `'${line.replaceAll("'", "'\\''")}'`;
}

const allow = [
  "shell(npm test*)",
  "shell(ls*)",
  "shell(echo *)",
  "shell(cat *)",
  "shell(find *)",
  "shell(env *)",
];
const bare = { mode: "default", ask: [], breakpoints: [] } as const;
const policies = [
  policyOf({ ...bare, allow, deny: [] }),
  policyOf({ ...bare, allow: ["*"], deny: ["shell(rm *)"] }),
];

function typesOf(command: string): readonly string[] {
  const call = { name: "shell", input: { command }, effect: "reconcile" } as const;
  return policies.map((policy) => policy(call, { mode: "default", rules: [] }).type);
}

test.each(Array.from({ length: 20 }, (_, i) => [i + 1]))(
  "forbidden commands stay forbidden, seed %i",
  (seed) => {
    const random = numbers(seed);
    for (let i = 0; i < 20; i++) {
      const line = wrapped(FORBIDDEN, random);
      expect(typesOf(line), line).not.toContain("allow");
    }
  },
);

test("harmless commands stay harmless", () => {
  const random = numbers(7);
  for (let i = 0; i < 150; i++) {
    const line = wrapped(HARMLESS, random);
    expect(typesOf(line), line).toEqual(["allow", "allow"]);
  }
});

test("no text makes it throw, or takes it long", () => {
  const random = numbers(3);
  const pieces = [
    "$(",
    ")",
    "`",
    "'",
    '"',
    "{",
    "}",
    "((",
    "))",
    "[[",
    "]]",
    "<<E",
    "\n",
    "E\n",
    "$x",
    "${",
    "|",
    "&",
    ";",
    "rm ",
    "if ",
    "\\",
    "!",
    "*",
    "a",
    " ",
  ];
  for (let i = 0; i < 500; i++) {
    const line = Array.from({ length: random(30) }, () => pieces[random(pieces.length)]).join("");
    expect(["allow", "ask", "deny"]).toContain(typesOf(line)[1]);
  }
  for (const piece of [
    "(",
    "$(",
    "{ ",
    "`",
    "((",
    "$((",
    "[[ ! ",
    "if ",
    "a|",
    "${x:-",
    "a && ",
    "eval ",
    "env ",
    "bash -c ",
  ]) {
    expect(typesOf(piece.repeat(900)), piece).not.toContain("allow");
  }
  expect(typesOf(`echo ${"a".repeat(70_000)}`)[0]).toBe("ask");
});
