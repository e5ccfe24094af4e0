import type { Agent } from "../agents/agent.ts";
import type { PrefixBreak } from "../log/entry.ts";
import type { SessionState } from "../log/state.ts";
import type { ModelFacts, ModelRequest } from "../models/model.ts";
import { assemble } from "./assemble.ts";
import { contextDue, headOfState, newContext } from "./epoch.ts";
import { estimateMessage, estimateText, estimateTool, sum } from "./estimate.ts";
import type { Moment, SectionName } from "./sections.ts";
import { contextTokens } from "./tokens.ts";

/** What the next request of a session would consist of, and how much each part takes. Sizes of parts are estimates. */
export interface ContextView {
  readonly sessionId: string;
  readonly agent: string;
  readonly model: string;
  /** Tokens of prompt and answer together that the model takes; null where that is not known. */
  readonly window: number | null;
  /** Tokens of the whole request: what the provider counted last, and an estimate of what came since. */
  readonly tokens: number;
  /** Why system prompt and tools will be recorded anew with this request; null when they go on as they are. */
  readonly opens: PrefixBreak | null;
  readonly sections: readonly SectionView[];
  /** Those that the model is told of in full. */
  readonly tools: readonly { readonly name: string; readonly tokens: number }[];
  /** Those that it can find. */
  readonly deferred: readonly string[];
  readonly messages: { readonly count: number; readonly tokens: number };
  /** The request itself, where it was asked for. */
  readonly request?: ModelRequest;
}

export interface SectionView {
  readonly name: SectionName;
  readonly source: string;
  readonly tokens: number;
}

/** @pure */
export function viewContext(
  sessionId: string,
  state: SessionState,
  agent: Agent,
  known: {
    readonly facts: (model: string) => ModelFacts;
    readonly moment: Moment;
    readonly request: boolean;
  },
): ContextView {
  const opens = contextDue(state, agent);
  const context = opens === null ? state.context : newContext(opens, state, agent, known.moment);
  const next: SessionState = { ...state, context };
  const model = state.run?.model ?? state.unanswered?.model ?? agent.model.id;
  const facts = known.facts(model);
  const { sections, tools } = headOfState(next, agent);
  const request = assemble(sessionId, next, agent, facts);
  return {
    sessionId,
    agent: agent.name,
    model,
    window: facts.contextWindow,
    tokens: contextTokens(next, agent),
    opens,
    sections: sections.map(({ name, source, text }) => ({ name, source, tokens: estimateText(text) })),
    tools: tools.map((tool) => ({ name: tool.name, tokens: estimateTool(tool) })),
    deferred: context?.deferred ?? [],
    messages: { count: request.messages.length, tokens: sum(request.messages, estimateMessage) },
    ...(known.request ? { request } : {}),
  };
}
