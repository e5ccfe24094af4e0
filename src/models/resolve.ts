import type { LanguageModelV4 } from "@ai-sdk/provider";
import { systemClock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import { nearest } from "../lib/json.ts";
import { createAiSdkModel } from "./ai-sdk/ai-sdk.ts";
import { loadLanguageModel } from "./ai-sdk/load.ts";
import type { ModelLimits } from "./ai-sdk/patience.ts";
import { compatibleProvider, knownProviders, type Provider } from "./ai-sdk/providers.ts";
import { type CircuitBreaker, createCircuitBreakers, withCircuitBreaker } from "./circuit-breaker.ts";
import type { Model, ModelResolver } from "./model.ts";

export interface ModelResolverOptions {
  /** The key of a provider, by the provider's name. Asked at every request, never kept. */
  readonly keys: (provider: string) => string | undefined;
  /**
   * Where a provider's API is, instead of its usual place: for proxies and servers of one's own. A server at a given address
   * is asked without a key where there is none, and a provider that is not known is taken to speak Chat Completions.
   */
  readonly baseUrl?: (provider: string) => string | undefined;
  readonly fetch?: typeof globalThis.fetch;
  /** Serves "scripted" and "scripted/<name>". */
  readonly scripted?: Model;
  /** How long each model may say nothing. What is left out has its default. */
  readonly limits?: (modelId: string) => Partial<ModelLimits>;
  /**
   * The circuit breaker of a provider, by a name that tells its servers apart. Resolvers of one process share theirs. Default:
   * breakers of this resolver's own.
   */
  readonly breakers?: (name: string) => CircuitBreaker;
}

/** Finds models by id. A model is made once for each id, so that what it remembers of a conversation's mapping is kept. */
export function createModelResolver(options: ModelResolverOptions): ModelResolver {
  const models = new Map<string, Model>();
  const breakers = options.breakers ?? createCircuitBreakers(systemClock);
  return (modelId) => {
    const { provider: providerName, name } = parseModelId(modelId);
    if (providerName === "scripted") return scriptedModel(options);
    const provider = findProvider(providerName, modelId, options);
    requireKey(provider, options);
    let model = models.get(modelId);
    if (model === undefined) {
      const server = options.baseUrl?.(providerName);
      const breaker = breakers(server === undefined ? providerName : `${providerName} at ${server}`);
      model = withCircuitBreaker(createModel(modelId, provider, name, options), breaker);
      models.set(modelId, model);
    }
    return model;
  };
}

/**
 * The parts of "provider/name"; the name may hold further slashes.
 * @throws AppError `invalid_config`.
 */
export function parseModelId(modelId: string): { readonly provider: string; readonly name: string } {
  if (modelId === "scripted") return { provider: "scripted", name: "" };
  const slash = modelId.indexOf("/");
  const provider = modelId.slice(0, slash);
  const name = modelId.slice(slash + 1);
  if (slash > 0 && name !== "") return { provider, name };
  throw new AppError("invalid_config", `"${modelId}" is not the id of a model`, {
    hint: 'Write "provider/name", for example "anthropic/claude-sonnet-4-6".',
  });
}

function createModel(id: string, provider: Provider, name: string, options: ModelResolverOptions): Model {
  // Made anew only when the key has changed: that takes longer than asking whether it has.
  let known: { readonly key: string | undefined; readonly model: Promise<LanguageModelV4> } | undefined;
  return createAiSdkModel({
    id,
    dialect: { provider: provider.name, protocol: provider.protocol, model: id },
    key: () => options.keys(provider.name),
    languageModel() {
      const key = requireKey(provider, options);
      if (known === undefined || known.key !== key) {
        const connection = { key, baseUrl: options.baseUrl?.(provider.name), fetch: options.fetch };
        const made = { key, model: loadLanguageModel(provider, name, connection) };
        made.model.catch(() => {
          if (known === made) known = undefined;
        });
        known = made;
      }
      return known.model;
    },
    ...(options.limits === undefined ? {} : { limits: options.limits(id) }),
  });
}

function findProvider(name: string, modelId: string, { baseUrl }: ModelResolverOptions): Provider {
  const known = knownProviders.find((provider) => provider.name === name);
  if (known !== undefined) return known;
  if (baseUrl?.(name) !== undefined) return compatibleProvider(name);
  const names = knownProviders.map((provider) => provider.name);
  const near = nearest(name, names);
  throw new AppError("invalid_config", `no model provider is named "${name}" (in "${modelId}")`, {
    hint:
      near === undefined
        ? `Known: ${names.join(", ")}. For a server of your own that speaks Chat Completions, name its address as base URL.`
        : `Did you mean "${near}"?`,
  });
}

function requireKey(provider: Provider, { keys, baseUrl }: ModelResolverOptions): string | undefined {
  const key = keys(provider.name);
  if (key !== undefined && key !== "") return key;
  if (provider.key.type !== "variables") return undefined;
  // Some packages insist on a key; servers of one's own rarely do.
  if (baseUrl?.(provider.name) !== undefined) return "none";
  throw new AppError("invalid_config", `no key for ${provider.name} is set`, {
    hint: `Set ${provider.key.names.join(" or ")}.`,
  });
}

function scriptedModel({ scripted }: ModelResolverOptions): Model {
  if (scripted !== undefined) return scripted;
  throw new AppError("invalid_config", 'the model is "scripted", but no script is given', {
    hint: "Name a script for it, or choose another model.",
  });
}
