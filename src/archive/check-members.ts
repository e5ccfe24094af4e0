import { ENTRIES, type Member, SNAPSHOTS, WORKSPACE } from "./archive.ts";
import { damaged } from "./seal.ts";

/**
 * Whether files can be made of the members as they are listed: each name once, below its folder, nothing outside. What was
 * listed is what is written, so that a name or a link in the file itself need not be believed. @throws AppError `invalid_input`
 */
export function checkMembers(members: readonly Member[]): void {
  const [first] = members;
  if (first?.name !== ENTRIES || first.type !== "file") throw damaged(`${ENTRIES} is missing`);
  const known = new Map<string, Member["type"]>();
  for (const member of members) {
    const { name, type } = member;
    if (!isPlainPath(name)) throw damaged(`"${shown(name)}" cannot be the name of a member`);
    if (known.has(name)) throw damaged(`"${shown(name)}" is in it twice`);
    known.set(name, type);
    const [part] = name.split("/", 1);
    if (name !== ENTRIES && part !== WORKSPACE && part !== SNAPSHOTS) {
      throw damaged(`"${shown(name)}" is no part of an export`);
    }
    const parent = name.slice(0, Math.max(0, name.lastIndexOf("/")));
    if (parent === "" ? name !== ENTRIES && type !== "directory" : known.get(parent) !== "directory") {
      throw damaged(`the folder of "${shown(name)}" does not come before it`);
    }
    if (type !== "link") continue;
    if (part !== WORKSPACE || !staysInside(name.slice(WORKSPACE.length + 1), member.target)) {
      throw damaged(`the link "${shown(name)}" leads out of the workspace`);
    }
  }
}

/** One or more names, none of which means another place. */
export function isPlainPath(path: string): boolean {
  return (
    path.isWellFormed() &&
    !path.includes("\0") &&
    path.split("/").every((name) => name !== "" && name !== "." && name !== "..")
  );
}

/**
 * Whether a link at `path`, which stands below directories that are no links, stays in the tree: it goes up as far as the top at
 * most, and from there down by name only, so that no other link on its way can change what ".." means.
 */
export function staysInside(path: string, target: string): boolean {
  if (!target.isWellFormed() || target.includes("\0") || target.startsWith("/")) return false;
  const names = target.split("/").filter((name) => name !== "" && name !== ".");
  const ups = names.findIndex((name) => name !== "..");
  const climbs = ups === -1 ? names.length : ups;
  return climbs <= path.split("/").length - 1 && !names.slice(climbs).includes("..");
}

/** Of a name that may be anything, as much as a message can take. */
export function shown(name: string): string {
  return name.length > 120 ? `${name.slice(0, 120)}...` : name;
}
