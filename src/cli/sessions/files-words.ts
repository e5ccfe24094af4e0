import type { WorkspaceOrigin } from "../../log/entry.ts";
import { plural } from "../render/figures.ts";

/** What became of the files of a session that was forked, or moved back. */
export function filesWords({ from, snapshot, skipped }: WorkspaceOrigin): string {
  const left = skipped === 0 ? "" : `; ${plural(skipped, "file")} could not be kept and are not among them`;
  switch (from) {
    case "snapshot":
      return `as they were there (snapshot ${snapshot?.slice(0, 12) ?? "unknown"})${left}`;
    case "template":
      return "as a new session has them: nothing had been kept by then";
    case "now":
      return `as they are now${snapshot === undefined ? "; there are no snapshots" : ""}${left}`;
  }
}
