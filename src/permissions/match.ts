/** Whether a rule holds for a call. `maybe`: it cannot be seen before the call runs. */
export type Holds = "yes" | "no" | "maybe";

/** Whether a name matches a pattern in which `*` stands for any characters. */
export function matchesPattern(name: string, pattern: string): boolean {
  return matchesParts(name, pattern.split("*"));
}

/** Whether a text consists of these parts, in order, the first at its beginning, the last at its end, with anything between. */
export function matchesParts(text: string, parts: readonly string[]): boolean {
  const [first = "", ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

/** The most certain of several answers, of which one is enough. */
export function anyHolds(answers: Iterable<Holds>): Holds {
  let best: Holds = "no";
  for (const answer of answers) {
    if (answer === "yes") return "yes";
    if (answer === "maybe") best = "maybe";
  }
  return best;
}
