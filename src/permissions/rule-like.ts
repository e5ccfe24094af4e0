import { partsOf } from "./parts.ts";
import type { PolicyCall } from "./policy.ts";
import { placeOfInput } from "./risk.ts";
import { parseRule, SHELL } from "./rule.ts";
import { UNSEEN } from "./shell/command-pattern.ts";

/**
 * The rules that "always allow this" writes: those that allow this very call, and as little else as rules can say. For the shell one
 * for each command that needs one; for files the path; for other tools every call. Empty where no rule can say it.
 */
export function ruleLike(call: PolicyCall): readonly string[] {
  switch (call.name) {
    case SHELL:
      return rulesOfLine(call);
    case "write":
    case "edit": {
      const place = placeOfInput(call.input);
      return place.type === "unknown" ? [] : usable([`${call.name}(${pathRule(place.type, place.path)})`]);
    }
    default:
      return [call.name];
  }
}

function rulesOfLine(call: PolicyCall): readonly string[] {
  const { parts, opaque } = partsOf(call);
  if (opaque.length > 0) return [];
  const rules: string[] = [];
  for (const part of parts) {
    if (part.risk.reversibility === "none") continue;
    if (part.type === "command") {
      if (part.command.words.some((word) => word.includes(UNSEEN))) return [];
      rules.push(`shell(${part.command.words.map(quoted).join(" ")})`);
    } else if (part.type === "file") {
      for (const place of part.use.places) {
        if (place.type === "unknown") return [];
        rules.push(`write(${pathRule(place.type, place.path)})`);
      }
    }
  }
  return usable([...new Set(rules)]);
}

/** What the grammar of rules cannot hold (a line feed in a path, say) is no rule. */
function usable(rules: readonly string[]): readonly string[] {
  return rules.every((rule) => parseRule(rule).ok) ? rules : [];
}

function pathRule(type: "inside" | "outside", path: string): string {
  const exact = path.replaceAll(/[*?[\]{}\\]/g, "\\$&");
  return type === "inside" ? `./${exact}` : exact;
}

function quoted(word: string): string {
  return /^[\w@%+=:,./^-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
