import { knownProviders } from "../models/ai-sdk/providers.ts";

interface Provider {
  /** The part of a model id before the slash. */
  readonly name: string;
  /** Environment variables that hold its key, the preferred one first. For ollama: its address. */
  readonly keyVariables: readonly string[];
  /** What agents get that name no model; null for providers that are not chosen by themselves. */
  readonly defaultModel: string | null;
}

/** The model of which is spoken when there is no key at all. */
export const firstModel = "anthropic/claude-sonnet-4-6";

const defaultModels: Readonly<Record<string, string>> = {
  anthropic: firstModel,
  openai: "openai/gpt-5.2",
  ollama: "ollama/qwen3",
};

/** Providers whose keys are known by name, in the order in which they are chosen for agents that name no model. */
export const providers: readonly Provider[] = knownProviders.flatMap(({ name, key }) => {
  const variables = key.type === "variables" ? key.names : [];
  const keyVariables = name === "ollama" ? ["OLLAMA_HOST"] : variables;
  return keyVariables.length === 0 ? [] : [{ name, keyVariables, defaultModel: defaultModels[name] ?? null }];
});
