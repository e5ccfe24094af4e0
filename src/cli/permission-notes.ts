import type { Agent } from "../agents/agent.ts";
import type { RuleSet } from "../permissions/policy.ts";
import { plural } from "./render/figures.ts";

/** The permissions of an agent in a line: "mode default, 2 deny, 1 ask, 3 allow rules, 1 breakpoint, rules of 1 user". */
export function permissionLine({ permissions: { mode, own, users } }: Agent): string {
  const lists = (["deny", "ask", "allow"] as const).filter((list) => own[list].length > 0);
  return [
    `mode ${mode}`,
    lists.length === 0
      ? "no rules"
      : `${lists.map((list) => `${own[list].length} ${list}`).join(", ")} ${lists.length === 1 && own[lists[0] ?? "deny"].length === 1 ? "rule" : "rules"}`,
    ...(own.breakpoints.length === 0 ? [] : [plural(own.breakpoints.length, "breakpoint")]),
    ...(users.size === 0 ? [] : [`rules of ${plural(users.size, "user")}`]),
  ].join(", ");
}

/** Rules that can have no effect, or that say the opposite of another one. What is merely narrower than another is no mistake. */
export function ruleWarnings({ permissions: { mode, own, users }, sandbox }: Agent): readonly string[] {
  const sets: readonly (readonly [name: string, set: Omit<RuleSet, "source">])[] = [
    ["permissions", own],
    ...[...users].map(([name, set]) => [`permissions.users.${name}`, set] as const),
  ];
  return [
    ...sets.flatMap(([name, set]) => warningsOf(name, set)),
    ...(mode === "bypass" ? [`permissions.mode: ${bypassNote(sandbox)}`] : []),
    ...(mode === "plan" && own.allow.length > 0
      ? [
          "permissions.allow: in the mode plan allow rules do not help; they count when a session is switched to another",
        ]
      : []),
  ];
}

export function bypassNote({ isolation }: Agent["sandbox"]): string {
  return isolation === "none"
    ? "bypass is refused in the sandbox none, which is this machine itself"
    : "bypass has to be allowed where the agent is started (--allow-bypass)";
}

function warningsOf(name: string, { deny, ask, allow }: Omit<RuleSet, "source">): readonly string[] {
  const hidden = (list: string, rules: readonly string[], by: string, stronger: readonly string[]) =>
    rules.flatMap((rule) => {
      const over = stronger.find((other) => other === rule || covers(other, rule));
      return over === undefined
        ? []
        : [`${name}.${list}: "${rule}" never counts, because ${by}: "${over}" is stronger`];
    });
  return [
    ...hidden("allow", allow, "deny", deny),
    ...hidden("allow", allow, "ask", ask),
    ...hidden("ask", ask, "deny", deny),
  ];
}

/** A rule for every call of a tool covers those with a pattern. What patterns cover each other nobody tells in general. */
function covers(whole: string, part: string): boolean {
  if (whole === "*" || whole === "*(*)") return true;
  const bare = whole.endsWith("(*)") ? whole.slice(0, -3) : whole;
  return !bare.includes("(") && (part === bare || part.startsWith(`${bare}(`));
}
