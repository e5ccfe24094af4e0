import type { Agent } from "../agents/agent.ts";
import { messagesOfNextRequest } from "../log/fold-messages.ts";
import type { SessionState } from "../log/state.ts";
import type { ModelFacts, ModelRequest } from "../models/model.ts";
import { planCache } from "./cache-plan.ts";
import { describeImages } from "./describe-images.ts";
import { headOfState } from "./epoch.ts";

/**
 * The next request, as a pure function of the log, the agent and what is known of the model. Messages are passed on as the
 * same objects from request to request, so that what was mapped to a wire once need not be mapped again.
 *
 * - `sections.ts`: the system prompt, part by part
 * - `epoch.ts`: when it and the tools may change, which is seldom
 * - `find-tools.ts`: what happens when there are too many tools
 * - `cache-plan.ts`, `prefix.ts`: what the provider is asked to cache, and how much of that a request can use
 * - `tokens.ts`: how long all of it is
 * @pure
 */
export function assemble(
  sessionId: string,
  state: SessionState,
  agent: Agent,
  { images }: Pick<ModelFacts, "images">,
): ModelRequest {
  const { reasoning, maxOutputTokens } = agent.model;
  const { system, tools } = headOfState(state, agent);
  // A copy: the transcript grows while the request is under way.
  const messages = [...messagesOfNextRequest(state)];
  return {
    sessionId,
    system,
    tools,
    messages: images ? messages : describeImages(messages),
    cache: planCache(sessionId, state, agent, messages.length),
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
  };
}
