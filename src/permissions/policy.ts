import type { Effect } from "../log/entry.ts";

/**
 * Decides whether a call may run. Pure: whatever would need I/O answers `ask`, and the answer arrives as an entry. Today's
 * rules are `deny` and `allow` lists of tool names; nothing downstream can turn a `deny` into anything else.
 */
export type Policy = (call: PolicyCall) => Decision;

export interface PolicyCall {
  readonly name: string;
  readonly input: unknown;
  readonly effect: Effect;
}

export type Decision =
  | { readonly type: "allow" }
  /** `reason` is shown to the model and to people: which rule, and what may be done instead. */
  | { readonly type: "deny"; readonly reason: string };
