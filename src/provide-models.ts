import type { Agent } from "./agents/agent.ts";
import type { BuiltAgent } from "./agents/build.ts";
import type { ModelConfig } from "./config.ts";
import { systemClock } from "./lib/clock.ts";
import { AppError } from "./lib/errors.ts";
import { withoutUndefined } from "./lib/json.ts";
import { type Catalogue, createCatalogue } from "./models/catalogue.ts";
import { createCircuitBreakers } from "./models/circuit-breaker.ts";
import type { Model, ModelResolver } from "./models/model.ts";
import type { ModelEntry } from "./models/model-entry.ts";
import { createModelResolver, parseModelId } from "./models/resolve.ts";
import { loadScript } from "./models/scripted/script.ts";
import { createScriptedModel } from "./models/scripted/scripted.ts";
import type { LoopPorts } from "./run/loop-ports.ts";

/**
 * The models of each agent: real ones with the keys of this machine, a server of the agent's own, or its script. Scripts
 * are read now, so that a mistake in one is told at the start.
 */
export async function provideModels(
  agents: readonly BuiltAgent[],
  config: ModelConfig,
): Promise<(agent: Agent, modelId: string) => Model> {
  const resolvers = new Map<string, ModelResolver>();
  const breakers = createCircuitBreakers(systemClock);
  for (const { agent, model } of agents) {
    resolvers.set(agent.name, await resolverFor(agent, model, config, breakers));
  }
  const others = createModelResolver({ keys: config.apiKey, breakers });
  return (agent, modelId) => (resolvers.get(agent.name) ?? others)(modelId);
}

async function resolverFor(
  agent: Agent,
  choice: BuiltAgent["model"],
  config: ModelConfig,
  breakers: ReturnType<typeof createCircuitBreakers>,
): Promise<ModelResolver> {
  const scripted =
    choice.type === "scripted"
      ? createScriptedModel(await loadScript(choice.script), { record: false })
      : undefined;
  const { firstTokenMs, betweenTokensMs } = agent.model;
  const ownServer = choice.type === "provider" ? choice.baseUrl : null;
  const ownProvider = ownServer === null ? undefined : parseModelId(agent.model.id).provider;
  const resolve = createModelResolver({
    keys: config.apiKey,
    breakers,
    limits: () => withoutUndefined({ firstTokenMs, betweenTokensMs }),
    baseUrl: (provider) => {
      if (ownServer !== null && provider === ownProvider) return ownServer;
      return provider === "ollama" ? config.ollamaUrl : undefined;
    },
    ...(scripted === undefined ? {} : { scripted }),
  });
  return (modelId) => {
    if (choice.type === "missing" && modelId === choice.id) {
      throw new AppError("invalid_config", choice.message, { hint: choice.hint });
    }
    return resolve(modelId);
  };
}

/** What is known of models, where what an agent says of its own models wins over the catalogue. */
export function provideModelFacts(catalogue: Catalogue): Pick<LoopPorts, "facts" | "price" | "worstCase"> {
  const catalogues = new WeakMap<Agent, Catalogue>();
  const of = (agent: Agent) => {
    const known = catalogues.get(agent) ?? createCatalogue([...catalogue.list(), ...ownEntries(agent)]);
    catalogues.set(agent, known);
    return known;
  };
  return {
    price: (agent, modelId, usage) => of(agent).price(modelId, usage),
    worstCase: (agent, modelId, input, output) =>
      of(agent).worstCase(modelId, input, output, agent.model.cacheLifetime),
    facts: (agent, modelId) => of(agent).facts(modelId),
  };
}

function ownEntries({ model }: Agent): readonly ModelEntry[] {
  const { id, contextWindow, prices, fallbackFacts = [] } = model;
  return [...fallbackFacts, withoutUndefined({ id, contextWindow, prices })];
}
