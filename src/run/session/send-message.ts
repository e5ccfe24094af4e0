import type { UserBlock } from "../../log/content.ts";
import type { Delivery, PermissionMode } from "../../log/entry.ts";

export interface SendMessage {
  readonly blocks: readonly UserBlock[];
  /** Use this model for the run that answers. */
  readonly model?: string;
  /** What becomes of it while a run goes on. `reject`: it is refused with `conflict`. Default: the agent's `delivery`. */
  readonly delivery?: Delivery | "reject";
  /** Before it, the session is switched to this mode, as by `setMode`; which stands also where the message is refused. */
  readonly mode?: PermissionMode;
  /** Who sends it, for the record. Default: the tenant's name, where there is one. */
  readonly actor?: string;
  readonly idempotencyKey?: string;
}
