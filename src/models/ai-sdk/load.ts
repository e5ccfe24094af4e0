import type { LanguageModelV4 } from "@ai-sdk/provider";
import { AppError, systemErrorCode } from "../../lib/errors.ts";
import { isRecord } from "../../lib/json.ts";
import type { Provider } from "./providers.ts";

export interface Connection {
  readonly key: string | undefined;
  readonly baseUrl: string | undefined;
  readonly fetch: typeof globalThis.fetch | undefined;
}

/**
 * A language model of a provider. Packages are loaded at the first use, so that starting up does not wait for them.
 * @throws AppError `invalid_config` when the package is missing or does not fit.
 */
export async function loadLanguageModel(
  provider: Provider,
  name: string,
  connection: Connection,
): Promise<LanguageModelV4> {
  const { key: apiKey, baseUrl = provider.baseUrl, fetch } = connection;
  const shared = { ...(apiKey === undefined ? {} : { apiKey }), ...(fetch === undefined ? {} : { fetch }) };
  switch (provider.protocol) {
    case "anthropic": {
      const { createAnthropic } = await import("@ai-sdk/anthropic");
      // Addresses are always given, so that the packages do not look for them in the environment.
      return createAnthropic({ ...shared, baseURL: baseUrl ?? "https://api.anthropic.com/v1" })(name);
    }
    case "openai": {
      const { createOpenAI } = await import("@ai-sdk/openai");
      return createOpenAI({ ...shared, baseURL: baseUrl ?? "https://api.openai.com/v1" }).responses(name);
    }
    case "chat": {
      const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
      if (baseUrl === undefined) throw new AppError("invalid_config", `no address for ${provider.name}`);
      const settings = { ...shared, name: provider.name, baseURL: baseUrl, includeUsage: true };
      return createOpenAICompatible(settings).chatModel(name);
    }
    case "package": {
      const create = await importFactory(provider);
      return asLanguageModel(create({ ...shared, ...(baseUrl ? { baseURL: baseUrl } : {}) }), provider, name);
    }
  }
}

type Factory = (settings: Readonly<Record<string, unknown>>) => unknown;

/** Every provider package exports one function that makes it: createGoogle, createAmazonBedrock, createXai, ... */
async function importFactory(provider: Provider): Promise<Factory> {
  const exported = await importPackage(provider);
  const wanted = `create${provider.name.replaceAll("-", "")}`;
  const names = Object.keys(exported).filter((name) => /^create[A-Z]/.test(name));
  const name = names.find((candidate) => candidate.toLowerCase() === wanted) ?? names[0];
  const factory = name === undefined ? undefined : exported[name];
  if (typeof factory !== "function") throw unsuitable(provider);
  return factory as Factory;
}

async function importPackage(provider: Provider): Promise<Record<string, unknown>> {
  try {
    return await import(provider.package);
  } catch (error) {
    if (systemErrorCode(error) !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new AppError("invalid_config", `models of ${provider.name} need the package ${provider.package}`, {
      hint: `npm install ${provider.package}`,
      cause: error,
    });
  }
}

function asLanguageModel(made: unknown, provider: Provider, name: string): LanguageModelV4 {
  const model = isProvider(made) ? made.languageModel(name) : undefined;
  if (!isRecord(model) || model.specificationVersion !== "v4" || typeof model.doStream !== "function") {
    throw unsuitable(provider);
  }
  return model as unknown as LanguageModelV4;
}

function isProvider(value: unknown): value is { languageModel(name: string): unknown } {
  const isObject = (typeof value === "object" || typeof value === "function") && value !== null;
  return isObject && "languageModel" in value && typeof value.languageModel === "function";
}

function unsuitable({ package: name }: Provider): AppError {
  return new AppError("invalid_config", `the installed version of ${name} does not fit this release`, {
    hint: `npm install ${name}@latest`,
  });
}
