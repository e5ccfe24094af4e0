/**
 * Glob patterns as models and people write them: `*` and `?` within a name, `**` over directories, `[a-z]`, `[!a]`,
 * `{a,b}`. A pattern without a slash matches names at any depth. Pure.
 */
export interface GlobPattern {
  /** Whether a path relative to the directory searched matches. */
  matches(path: string): boolean;
  /** Whether the pattern asks for a name literally, so that directories that are usually left out are searched. */
  names(directory: string): boolean;
}

export function globPattern(pattern: string): GlobPattern {
  const clean = pattern.replace(/^(\.\/)+/, "");
  const anchored = clean.includes("/") ? clean.replace(/^\/+/, "") : `**/${clean}`;
  const expression = globExpression(anchored);
  const parts = new Set(anchored.split(/[/{},]/));
  return {
    matches: (path) => expression.test(path),
    names: (directory) => parts.has(directory),
  };
}

/** The pattern as it stands, for a whole path. @throws SyntaxError for a range like `[z-a]` */
export function globExpression(pattern: string): RegExp {
  return new RegExp(`^${translate(pattern)}$`, "su");
}

const TOKEN = /\*\*\/|\*\*|\*|\?|\[[!^]?\]?[^\]/]*\]|\\.|./gsu;

function translate(pattern: string): string {
  const hasGroups = isBalanced(pattern);
  return pattern.replaceAll(TOKEN, (token) => {
    switch (token) {
      case "**/":
        return "(?:[^/]+/)*";
      case "**":
        return ".*";
      case "*":
        return "[^/]*";
      case "?":
        return "[^/]";
      case "{":
        return hasGroups ? "(?:" : "\\{";
      case "}":
        return hasGroups ? ")" : "\\}";
      case ",":
        return hasGroups ? "|" : ",";
      default:
        return token.length > 1 && token.startsWith("[") ? characterClass(token) : literal(token);
    }
  });
}

/** Whether braces come in pairs and commas stand only in them; otherwise they are taken as they are. */
function isBalanced(pattern: string): boolean {
  let depth = 0;
  for (const character of pattern) {
    if (character === "{") depth += 1;
    if (character === "}") depth -= 1;
    if (depth < 0 || (character === "," && depth === 0)) return false;
  }
  return depth === 0;
}

function characterClass(token: string): string {
  const isNegated = token[1] === "!" || token[1] === "^";
  const members = token.slice(isNegated ? 2 : 1, -1).replaceAll(/[\\\]^[&|~]/g, "\\$&");
  return `(?!/)[${isNegated ? "^" : ""}${members}]`;
}

/** A character that stands for itself, also after a backslash. */
function literal(token: string): string {
  const character = token.length === 2 && token.startsWith("\\") ? token.slice(1) : token;
  return character.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
