import type { Permission, Risk } from "../../log/entry.ts";
import { oneLine } from "./plain.ts";

const REVERSIBILITY = {
  none: "changes nothing",
  undoable: "can be taken back",
  hard: "hard to take back",
  irreversible: "cannot be taken back",
} as const satisfies Record<Risk["reversibility"], string>;

const REACH = {
  workspace: "stays in the workspace",
  session: "stays in the session's sandbox",
  outside: "reaches outside",
} as const satisfies Record<Risk["reach"], string>;

/** "hard to take back, reaches outside: git push --force rewrites history". */
export function riskWords({ reversibility, reach, why }: Risk): string {
  const words = `${REVERSIBILITY[reversibility]}, ${REACH[reach]}`;
  return why.length === 0 ? words : `${words}: ${why.map(oneLine).join("; ")}`;
}

/** Which layer, and its mode, rule, hook or person: `the rule "ask: shell(git push*)"`. */
export function permissionWords({ layer, by }: Permission): string {
  const what = oneLine(by);
  switch (layer) {
    case "validation":
      return `validation (${what})`;
    case "mode":
      return /^mode \S+$/.test(what) ? `the ${what}` : what;
    case "rules":
      return `the rule "${what}"`;
    case "classifier":
      return `the classifier (${what})`;
    case "hook":
      return `the hook ${what}`;
    case "person":
      return what;
  }
}
