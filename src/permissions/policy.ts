import type { Effect, Permission, PermissionMode, Risk } from "../log/entry.ts";

/**
 * Decides whether a call may run. Pure: whatever needs I/O answers `ask` or `classify`, and what comes of it arrives as an entry.
 * Two of the five layers of docs/permissions.md are in it: mode and rules. Nothing downstream can turn a `deny` into anything else.
 */
export type Policy = (call: PolicyCall, situation: PolicySituation) => Decision;

export interface PolicyCall {
  readonly name: string;
  readonly input: unknown;
  readonly effect: Effect;
  /** What the tool says of this call itself; absent: it follows from effect, name and arguments. */
  readonly risk?: DeclaredRisk;
}

export type DeclaredRisk = Pick<Risk, "reversibility" | "reach"> & Partial<Pick<Risk, "why">>;

export interface PolicySituation {
  /** What the session works in. */
  readonly mode: PermissionMode;
  /** Besides the agent's own: those of users, and those that people have made while they answered. */
  readonly rules: readonly RuleSet[];
}

/** Rules of one source, as they are written. */
export interface RuleSet {
  /** For people: "harness.json", "user alice", "this session". */
  readonly source: string;
  readonly deny: readonly string[];
  readonly ask: readonly string[];
  readonly allow: readonly string[];
}

/**
 * - `ask`: a person decides. `isBreakpoint`: whatever the mode.
 * - `classify`: rules leave it open, and in this mode a classifier is asked first.
 */
export type Decision = {
  readonly type: "allow" | "deny" | "ask" | "classify";
  readonly permission: Permission;
  readonly risk: Risk;
  /** For people and, where it is refused, for the model: why, and what may be done instead. */
  readonly reason: string;
  readonly isBreakpoint?: true;
};
