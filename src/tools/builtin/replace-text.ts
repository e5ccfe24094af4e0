/** Exact replacement in a text, and useful words when it is not possible. Pure. */
export type Replacement =
  | {
      readonly type: "replaced";
      readonly text: string;
      readonly count: number;
      readonly lines: readonly number[];
    }
  | { readonly type: "refused"; readonly complaint: string };

export function replaceText(
  text: string,
  oldText: string,
  newText: string,
  options: { readonly all: boolean },
): Replacement {
  if (oldText === newText) return refused("oldText and newText are the same: there is nothing to change.");
  const [old, replacement] = withLineEndsOf(text, oldText, newText);
  const positions = positionsOf(text, old);
  if (positions.length === 0) return refused(whyNotFound(text, oldText));
  const lines = positions.map((position) => lineAt(text, position));
  if (positions.length > 1 && !options.all) {
    return refused(
      `oldText occurs ${positions.length} times (lines ${list(lines)}). Add lines around it until it is unique, or set replaceAll.`,
    );
  }
  return { type: "replaced", text: text.replaceAll(old, () => replacement), count: positions.length, lines };
}

const refused = (complaint: string): Replacement => ({ type: "refused", complaint });

/** A model sees and writes "\n"; in a file with Windows line ends that must not fail, nor mix the two. */
function withLineEndsOf(text: string, oldText: string, newText: string): readonly [string, string] {
  const isWindows = text.includes("\r\n") && !/(^|[^\r])\n/.test(text);
  if (!isWindows || oldText.includes("\r")) return [oldText, newText];
  const convert = (part: string) => part.replaceAll(/\r?\n/g, "\r\n");
  return [convert(oldText), convert(newText)];
}

function positionsOf(text: string, part: string): readonly number[] {
  const positions: number[] = [];
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) positions.push(at);
  return positions;
}

function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < position; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

function list(lines: readonly number[]): string {
  return lines.length <= 10 ? lines.join(", ") : `${lines.slice(0, 10).join(", ")}, ...`;
}

// ---- why it was not found ----

function whyNotFound(text: string, oldText: string): string {
  if (text === "") return "The file is empty.";
  if (/^ *\d+\t/m.test(oldText)) {
    return "oldText was not found. It seems to contain line numbers of read: leave the number and the tab out.";
  }
  return (
    spacingDiffers(text, oldText) ??
    closestLine(text, oldText) ??
    "oldText was not found. Read the file again."
  );
}

/** Finds the same lines with other blanks, the most common slip. */
function spacingDiffers(text: string, oldText: string): string | undefined {
  const wanted = oldText.split("\n").map(squeeze);
  while (wanted.length > 1 && wanted.at(-1) === "") wanted.pop();
  const lines = text.split("\n");
  const squeezed = lines.map(squeeze);
  const at = squeezed.findIndex((_line, i) => wanted.every((want, j) => squeezed[i + j] === want));
  if (at === -1 || wanted.every((line) => line === "")) return undefined;
  const actual = lines.slice(at, at + Math.min(wanted.length, 10)).join("\n");
  return `oldText was not found, but with other blanks or line ends it is at line ${at + 1}. The file has:\n${actual}`;
}

const squeeze = (line: string): string => line.trim().replaceAll(/\s+/g, " ");

/** At least so much of the words must be shared to be worth a hint. */
const MIN_SIMILARITY = 0.5;

function closestLine(text: string, oldText: string): string | undefined {
  const first = oldText.split("\n").find((line) => line.trim() !== "");
  if (first === undefined) return undefined;
  const wanted = words(first);
  let best = { similarity: 0, line: 0, text: "" };
  for (const [i, line] of text.split("\n").slice(0, 50_000).entries()) {
    const similarity = overlap(wanted, words(line));
    if (similarity > best.similarity) best = { similarity, line: i + 1, text: line };
  }
  if (best.similarity < MIN_SIMILARITY) return undefined;
  return `oldText was not found. The line most like its first one is line ${best.line}:\n${best.text.slice(0, 300)}`;
}

const words = (line: string): ReadonlySet<string> =>
  new Set(line.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []);

function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  const shared = [...a].filter((word) => b.has(word)).length;
  return shared === 0 ? 0 : (2 * shared) / (a.size + b.size);
}
