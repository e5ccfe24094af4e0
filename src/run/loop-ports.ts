import type { Agent } from "../agents/agent.ts";
import type { Clock } from "../lib/clock.ts";
import type { Usage } from "../log/content.ts";
import type { AddedRule } from "../log/state.ts";
import type { Model, ModelFacts } from "../models/model.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";
import type { Taken } from "../snapshots/snapshot.ts";
import type { Delta } from "./session/events.ts";

/** What performing a step needs from outside. */
export interface LoopPorts {
  /** @throws AppError `invalid_config` when the model is not known, or its key is missing. */
  readonly models: (agent: Agent, modelId: string) => Model;
  /** US dollars, or null when the model's price is not known. */
  readonly price: (agent: Agent, modelId: string, usage: Usage) => number | null;
  /** The most that a call can cost, in US dollars; null where the price is not known. */
  readonly worstCase: (
    agent: Agent,
    modelId: string,
    inputTokens: number,
    outputTokens: number,
  ) => number | null;
  readonly facts: (agent: Agent, modelId: string) => ModelFacts;
  /** What the sessions of one tenant may cost in one day (UTC), US dollars. Null: no limit. */
  readonly tenantDailyUsd: number | null;
  readonly sandbox: (sessionId: string) => Promise<Sandbox>;
  /** Rules for all sessions of the agent that people have made while they answered, as of a moment ago. */
  readonly addedRules: () => readonly AddedRule[];
  /**
   * The text of a file in the root of the session's workspace, at most 256 KiB of it, or null when there is none. Starts no sandbox.
   * @throws AppError when it is there and cannot be read.
   */
  readonly projectFile: (sessionId: string, agent: Agent, name: string) => Promise<string | null>;
  /** The files of a session's workspace, kept as they are now. Null when it has no workspace yet. */
  readonly saveFiles: (
    sessionId: string,
    agent: Agent,
    previous: string | null,
    signal: AbortSignal,
  ) => Promise<Taken | null>;
  /** Shows a delta to whoever watches. Must not throw, and never waits: readers do not slow a run down. */
  readonly emit: (delta: Delta) => void;
  readonly clock: Clock;
}

/** How the world reaches into a loop that is under way. */
export interface LoopControl {
  /** Aborted by a stop that concerns the step that begins now, when the run's time is up, and when the session is abandoned. */
  readonly cancelSignal: () => AbortSignal;
  /** Aborted when this process may not go on with the session: it shuts down, or it lost the lease. Nothing is written then. */
  readonly abandoned: AbortSignal;
  /** True when the loop should end at the next boundary between steps. */
  readonly draining: () => boolean;
}
