import { firstModel, providers } from "./providers.ts";

/** "provider/name", or "scripted". */
export const modelIdPattern = /^(?:scripted|[a-z0-9][a-z0-9-]*\/\S+)$/;

/** What harness.json says about the model; null where it says nothing. */
export interface WantedModel {
  /** "provider/name", or "scripted". */
  readonly id: string | null;
  readonly baseUrl: string | null;
  /** The file with the turns of a scripted model. */
  readonly script: string | null;
}

/** What this machine has. From `config.ts`. */
export interface ModelAccess {
  /** Whether a key (for ollama: a host) is set for this provider. */
  hasKey(provider: string): boolean;
  /** The model of agents that name none; null for the default of the first provider with a key. */
  readonly defaultModel: string | null;
}

export type ModelChoice =
  | { readonly type: "provider"; readonly id: string; readonly baseUrl: string | null }
  /**
   * `notice` is a line for the person who starts the agent; null when the agent asks for its script itself. `insteadOf` is
   * the model that would answer if there were a key for it; null where none is named.
   */
  | {
      readonly type: "scripted";
      readonly script: string;
      readonly notice: string | null;
      readonly insteadOf: string | null;
    }
  /** No answer can be had: `message` says why, `hint` what to set. `id` is the model that would be used. */
  | { readonly type: "missing"; readonly id: string; readonly message: string; readonly hint: string };

/**
 * Which model answers, by what the agent wants and what the machine has.
 *
 * A model that the agent names is used or missing, never replaced by that of another provider. An agent that names none
 * gets the default of the first provider with a key. Where no key is found, an agent that brings a script plays it.
 */
export function chooseModel(wanted: WantedModel, access: ModelAccess): ModelChoice {
  const { baseUrl, script } = wanted;
  const id = wanted.id ?? access.defaultModel ?? firstWithKey(access)?.defaultModel ?? null;
  if (id === "scripted")
    return script === null ? scriptIsMissing() : { type: "scripted", script, notice: null, insteadOf: null };
  if (id !== null && (baseUrl !== null || isReachable(id, access))) return { type: "provider", id, baseUrl };
  if (script !== null) return { type: "scripted", script, notice: playingInstead(id, access), insteadOf: id };
  if (id === null) return noKeyAtAll();
  // An ollama that nobody configured listens on its usual port; asking it is better than guessing.
  if (providerOf(id) === "ollama") return { type: "provider", id, baseUrl };
  return keyIsMissing(id);
}

function firstWithKey(access: ModelAccess) {
  return providers.find(({ name, defaultModel }) => defaultModel !== null && access.hasKey(name));
}

/** Providers that are not in the table bring their own credentials (clouds, gateways); only asking tells. */
function isReachable(id: string, access: ModelAccess): boolean {
  const provider = providerOf(id);
  return access.hasKey(provider) || !providers.some(({ name }) => name === provider);
}

function playingInstead(id: string | null, access: ModelAccess): string {
  const someKey = providers.some(({ name }) => access.hasKey(name));
  const missing = id !== null && someKey ? `no key for ${id} found` : "no model key found";
  return `${missing}: playing a scripted model; tools, sandbox and log are real`;
}

function noKeyAtAll(): ModelChoice {
  const variables = providers.flatMap(({ defaultModel, keyVariables }) => (defaultModel ? keyVariables : []));
  return {
    type: "missing",
    id: firstModel,
    message: "no model key found",
    hint: `Set ${listed(variables)}, or name a server of your own in model.baseUrl.`,
  };
}

function keyIsMissing(id: string): ModelChoice {
  const provider = providers.find(({ name }) => name === providerOf(id));
  return {
    type: "missing",
    id,
    message: `no key for the model "${id}" found`,
    hint: `Set ${listed(provider?.keyVariables ?? [])}.`,
  };
}

function scriptIsMissing(): ModelChoice {
  return {
    type: "missing",
    id: "scripted",
    message: 'the model is "scripted", but no script is given',
    hint: "Name the file in model.script.",
  };
}

/** The part of a model id before the slash. */
export function providerOf(id: string): string {
  return id.split("/", 1)[0] ?? id;
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
