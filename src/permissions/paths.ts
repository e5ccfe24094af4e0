import { posix } from "node:path";
import { globExpression } from "../lib/glob.ts";
import type { Holds } from "./match.ts";

/**
 * Where a path leads, as far as its text can tell; symbolic links are not seen. The sandbox holds the file tools to the workspace.
 * - `inside`: relative to the workspace, without `.` and `..`; "." is the workspace itself.
 * - `outside`: absolute, or beginning with `..` or `~`.
 * - `unknown`: it depends on what cannot be seen before it runs.
 */
export type Place =
  | { readonly type: "inside" | "outside"; readonly path: string }
  | { readonly type: "unknown" };

/** What every kind of sandbox that has one of its own calls the workspace. */
const ROOT = "/workspace";
const LONGEST_PATH = 4096;

export const UNKNOWN_PLACE: Place = { type: "unknown" };

/** @param directory where a relative path begins. */
export function placeOf(path: string, directory: Place = { type: "inside", path: "." }): Place {
  if (path.length > LONGEST_PATH || path.includes("\0")) return UNKNOWN_PLACE;
  if (path.startsWith("~")) return { type: "outside", path };
  if (path.startsWith("/")) return absolute(posix.normalize(path));
  if (directory.type === "unknown") return UNKNOWN_PLACE;
  if (directory.path.startsWith("~")) {
    return path.split("/").includes("..")
      ? UNKNOWN_PLACE
      : { type: "outside", path: `${directory.path}/${path}` };
  }
  const joined = posix.join(directory.path, path);
  if (joined.startsWith("/")) return absolute(joined);
  const clean = withoutTrailingSlash(joined);
  return clean === ".." || clean.startsWith("../")
    ? { type: "outside", path: clean }
    : { type: "inside", path: clean };
}

function absolute(normal: string): Place {
  const path = withoutTrailingSlash(normal.replace(/^\/+/, "/"));
  if (path === ROOT) return { type: "inside", path: "." };
  if (path.startsWith(`${ROOT}/`)) return { type: "inside", path: path.slice(ROOT.length + 1) };
  return { type: "outside", path };
}

function withoutTrailingSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, "") || "/" : path;
}

/** `src/**`, `.env*` (at any depth), `./.env` (that one), `/etc/**`, `../**`. */
export interface PathPattern {
  readonly text: string;
  readonly expression: RegExp;
  /** Directories up to the first character that stands for others; "" where it matches at any depth. */
  readonly base: string;
}

/** @returns a complaint for people where it is not a pattern. */
export function parsePathPattern(text: string): PathPattern | string {
  const clean = posix.normalize(text.replace(/^\/workspace\//, "./"));
  const isAnywhere = !text.includes("/");
  const anchored = isAnywhere && text !== "**" ? `**/${clean}` : clean;
  try {
    const expression = globExpression(anchored);
    const [fixed = ""] = clean.split(/[*?[{\\]/, 1);
    const base = fixed === clean ? clean : fixed.slice(0, fixed.lastIndexOf("/") + 1).replace(/\/$/, "");
    return { text, expression, base: isAnywhere ? "" : base };
  } catch {
    return `"${text}" is not a pattern of paths: * ? ** [a-z] {a,b}`;
  }
}

/** For `allow`: certain, and never by chance outside of the workspace. */
export function allowsPlace({ text, expression }: PathPattern, place: Place): boolean {
  switch (place.type) {
    case "unknown":
      return false;
    case "inside":
      return text.startsWith("/")
        ? expression.test(rooted(place.path)) || expression.test(place.path)
        : expression.test(place.path);
    case "outside":
      return /^(?:\/|~|\.\.(?:\/|$))/.test(text) && expression.test(place.path);
  }
}

/**
 * For `deny` and `ask`: what cannot be seen may be meant.
 * @param wholeTree what lies below the path is changed, too.
 */
export function concernsPlace(pattern: PathPattern, place: Place, wholeTree = false): Holds {
  if (place.type === "unknown") return "maybe";
  const { text, expression, base } = pattern;
  const names =
    place.type === "inside"
      ? [place.path, rooted(place.path)]
      : [place.path, ...(text.includes("/") ? [] : [place.path.slice(1)])];
  if (text === "**" || text === "*" || names.some((name) => expression.test(name))) return "yes";
  // `src/**` means the folder itself, too.
  if (text.endsWith("/**") && names.some((name) => expression.test(`${name}/x`))) return "yes";
  if (!wholeTree) return "no";
  return names.some((name) => mayLieBelow(base, name)) ? "maybe" : "no";
}

function mayLieBelow(base: string, path: string): boolean {
  if (base === "" || path === "/") return true;
  if (path === ".") return !base.startsWith("/") && !base.startsWith("..");
  return base === path || base.startsWith(`${path}/`) || path.startsWith(`${base}/`);
}

function rooted(path: string): string {
  return path === "." ? ROOT : `${ROOT}/${path}`;
}
