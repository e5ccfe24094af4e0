import type { Retention } from "../log/retention.ts";
import type { SessionLog } from "../log/session-log.ts";
import type { SnapshotReferences } from "../log/snapshot-references.ts";
import type { CostLedger } from "../run/session/costs.ts";
import type { Notices } from "../run/worker/notices.ts";
import type { RuleBook, RunQueue } from "../run/worker/queue.ts";

/**
 * Everything durable about sessions, in one database. Opening it makes this process a node: it may hold leases until it is
 * disposed of. Disposing waits for writes that are under way, then gives all leases back.
 */
export interface Store
  extends SessionLog,
    RunQueue,
    RuleBook,
    CostLedger,
    Notices,
    SnapshotReferences,
    Retention,
    AsyncDisposable {
  /** Unique among the processes that are connected to the database. */
  readonly nodeId: string;
}
