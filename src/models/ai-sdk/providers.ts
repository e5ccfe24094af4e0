import type { Protocol } from "./dialect.ts";

/** How models of one provider are reached. */
export interface Provider {
  /** The part of a model id before the slash. */
  readonly name: string;
  readonly protocol: Protocol;
  /** The npm package. One that does not come with Holdfast is installed by whoever wants it. */
  readonly package: string;
  /** Where the API is; absent where the package knows. Overridden by `baseUrl`. */
  readonly baseUrl?: string;
  /**
   * - `variables`: needs a key, kept under one of these names, the preferred one first.
   * - `none`: needs none, but sends one that is there.
   * - `own`: the package finds credentials by itself (clouds).
   */
  readonly key:
    | { readonly type: "variables"; readonly names: readonly string[] }
    | { readonly type: "none" }
    | { readonly type: "own" };
}

const COMPATIBLE = "@ai-sdk/openai-compatible";

export const knownProviders: readonly Provider[] = [
  {
    name: "anthropic",
    protocol: "anthropic",
    package: "@ai-sdk/anthropic",
    key: variables("ANTHROPIC_API_KEY"),
  },
  { name: "openai", protocol: "openai", package: "@ai-sdk/openai", key: variables("OPENAI_API_KEY") },
  {
    name: "ollama",
    protocol: "chat",
    package: COMPATIBLE,
    baseUrl: "http://127.0.0.1:11434/v1",
    key: { type: "none" },
  },
  {
    name: "openrouter",
    protocol: "chat",
    package: COMPATIBLE,
    baseUrl: "https://openrouter.ai/api/v1",
    key: variables("OPENROUTER_API_KEY"),
  },
  optional("google", variables("GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY")),
  optional("mistral", variables("MISTRAL_API_KEY")),
  optional("groq", variables("GROQ_API_KEY")),
  optional("xai", variables("XAI_API_KEY")),
  optional("deepseek", variables("DEEPSEEK_API_KEY")),
  optional("cohere", variables("COHERE_API_KEY")),
  optional("azure", { type: "own" }),
  optional("amazon-bedrock", { type: "own" }),
  optional("google-vertex", { type: "own" }),
];

/** A provider that Holdfast does not know, but whose server speaks Chat Completions at a given address. */
export function compatibleProvider(name: string): Provider {
  return { name, protocol: "chat", package: COMPATIBLE, key: { type: "none" } };
}

/** @param host what OLLAMA_HOST holds: "127.0.0.1:11434", "http://host:11434", "host". */
export function ollamaBaseUrl(host: string): string {
  const url = new URL(/^https?:\/\//.test(host) ? host : `http://${host}`);
  // A server that listens on all addresses is asked on this one.
  if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = "127.0.0.1";
  if (url.port === "" && url.protocol === "http:") url.port = "11434";
  const path = url.pathname.replace(/\/+$/, "");
  return `${url.origin}${path.endsWith("/v1") ? path : `${path}/v1`}`;
}

function optional(name: string, key: Provider["key"]): Provider {
  return { name, protocol: "package", package: `@ai-sdk/${name}`, key };
}

function variables(...names: readonly string[]): Provider["key"] {
  return { type: "variables", names };
}
