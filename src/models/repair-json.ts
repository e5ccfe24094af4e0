/**
 * Repairs JSON text where there is exactly one way to complete it, and where nothing that was written changes by it:
 *
 * - a code fence around it is taken off;
 * - a comma behind the last item of an object or an array is left out;
 * - brackets that are missing at the very end are closed, when the text ends behind a complete value.
 *
 * Everything else could be meant in more than one way and is left alone: a string or a number at whose end the text stops
 * (more of it may be missing), a key without its value, single quotes, `True`, two values. That is why this is not left to
 * `jsonrepair` or `partial-json`: the first repairs all of these too and cannot be told not to; the second leaves out what
 * is incomplete instead of refusing it.
 * @returns the repaired text; undefined when no repair is certain, or none is needed.
 * @pure
 */
export function repairJson(text: string): string | undefined {
  const scanned = scan(withoutFence(text.trim()));
  if (scanned === undefined) return undefined;
  const { kept, missing } = scanned;
  if (missing !== "" && !COMPLETE_VALUE.test(kept)) return undefined;
  const repaired = kept + missing;
  return repaired !== text && isJson(repaired) ? repaired : undefined;
}

/** Behind a digit, the next one may be missing; behind a word, a string or a bracket, nothing can. */
const COMPLETE_VALUE = /(?:["}\]]|\btrue|\bfalse|\bnull)\s*$/;

const FENCE = /^```(?:json)?\s*\n(.*?)\n?\s*```$/s;

function withoutFence(text: string): string {
  return FENCE.exec(text)?.[1]?.trim() ?? text;
}

interface Scanned {
  /** The text without commas that nothing follows. */
  readonly kept: string;
  /** What closes the brackets that are open at its end. */
  readonly missing: string;
}

/** Undefined when the text ends inside a string, or brackets do not match. */
function scan(text: string): Scanned | undefined {
  const open: string[] = [];
  let kept = "";
  let from = 0;
  for (const { 0: token, index } of text.matchAll(TOKENS)) {
    switch (token[0]) {
      case '"':
        if (token.length < 2 || !token.endsWith('"')) return undefined;
        break;
      case "{":
        open.push("}");
        break;
      case "[":
        open.push("]");
        break;
      case ",":
        kept += text.slice(from, index);
        from = index + 1;
        break;
      default:
        if (open.pop() !== token) return undefined;
    }
  }
  return { kept: kept + text.slice(from), missing: open.reverse().join("") };
}

/** Strings as a whole, also one that does not end; brackets; commas with only a closing bracket behind them. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?$)|[{}[\]]|,(?=\s*[}\]])/gs;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
