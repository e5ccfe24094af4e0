import type { Clock } from "../../lib/clock.ts";
import type { Changes } from "./changes.ts";
import type { Commits } from "./commits.ts";
import type { Database } from "./database.ts";
import type { Nodes } from "./nodes.ts";

/** What the two halves of the port are made from. */
export interface Parts {
  readonly database: Database;
  readonly commits: Commits;
  readonly changes: Changes;
  readonly nodes: Nodes;
  readonly clock: Clock;
  /** Aborted when the store is closed. */
  readonly closed: AbortSignal;
}
