import type { Agent } from "../agents/agent.ts";
import { sha256 } from "../lib/ids.ts";
import type { ContextOpened, PrefixBreak } from "../log/entry.ts";
import type { SessionState } from "../log/state.ts";
import type { ToolSpec } from "../models/model.ts";
import { estimateText, estimateTool, sum } from "./estimate.ts";
import { offerTools, toolSpec } from "./find-tools.ts";
import { type Moment, recordedSections, type Section, systemSections, systemText } from "./sections.ts";

/**
 * What stands before the messages of a request. It stays the same, byte for byte, for an epoch: from one `contextOpened` to
 * the next.
 */
export interface Head {
  readonly system: string;
  readonly sections: readonly Section[];
  readonly tools: readonly ToolSpec[];
  readonly promptHash: string;
  readonly toolsHash: string;
  readonly systemTokens: number;
  readonly toolTokens: number;
}

/** Why what stands before the messages has to be recorded anew before the next request; null when it has not. @pure */
export function contextDue(state: SessionState, agent: Agent): PrefixBreak | null {
  const { context } = state;
  if (context === null) return state.compactedSince ? "compacted" : "start";
  return epochOf(agent, context).over;
}

/** An epoch that begins now. @pure */
export function newContext(
  cause: PrefixBreak,
  state: SessionState,
  agent: Agent,
  moment: Moment,
): ContextOpened {
  const opening = { ...offerTools(state, agent), sections: recordedSections(agent, moment) };
  const { promptHash, toolsHash } = makeHead(agent, opening);
  return { type: "contextOpened", cause, promptHash, toolsHash, ...opening };
}

/** Where no epoch has begun: as it would begin, without what only the moment can tell. @pure */
export function headOfState(state: SessionState, agent: Agent): Head {
  const { context } = state;
  if (context !== null) return epochOf(agent, context).head;
  let head = unopened.get(agent);
  if (head === undefined) {
    head = makeHead(agent, { ...offerTools(state, agent), sections: [] });
    unopened.set(agent, head);
  }
  return head;
}

const unopened = new WeakMap<Agent, Head>();

interface Epoch {
  readonly agent: Agent;
  readonly head: Head;
  /** Why it cannot go on; null where it can. */
  readonly over: PrefixBreak | null;
}

/** Asked for at every step, and always the same until the agent or the epoch is another one. */
const epochs = new WeakMap<ContextOpened, Epoch>();

function epochOf(agent: Agent, context: ContextOpened): Epoch {
  const known = epochs.get(context);
  if (known?.agent === agent) return known;
  const head = makeHead(agent, context);
  const epoch = { agent, head, over: whyOver(agent, context, head) };
  epochs.set(context, epoch);
  return epoch;
}

function whyOver(agent: Agent, context: ContextOpened, { toolsHash, promptHash }: Head): PrefixBreak | null {
  // The model is told neither of tools that are gone nor without those that are new.
  if (!hasSameTools(context, agent) || toolsHash !== context.toolsHash) return "toolsChanged";
  return promptHash === context.promptHash ? null : "promptChanged";
}

type Opening = Pick<ContextOpened, "tools" | "deferred" | "sections">;

function makeHead(agent: Agent, opening: Opening): Head {
  const sections = systemSections(agent, opening);
  const system = systemText(sections);
  const tools = opening.tools.flatMap((name) => toolSpec(name, agent) ?? []);
  return {
    system,
    sections,
    tools,
    promptHash: sha256(system, 16),
    toolsHash: sha256(JSON.stringify(tools), 16),
    systemTokens: estimateText(system),
    toolTokens: sum(tools, estimateTool),
  };
}

function hasSameTools({ tools, deferred }: ContextOpened, agent: Agent): boolean {
  const told = new Set([...tools, ...deferred]);
  return (
    [...agent.tools.keys()].every((name) => told.has(name)) &&
    [...told].every((name) => toolSpec(name, agent) !== undefined)
  );
}
