import { relative } from "node:path";

/** A path as a person who stands in `cwd` would write it: from there when it is below, else whole. */
export function shortPath(path: string, cwd: string): string {
  const near = relative(cwd, path);
  return near === "" || near.startsWith("..") ? path : near;
}
