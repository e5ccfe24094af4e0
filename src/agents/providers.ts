interface Provider {
  /** The part of a model id before the slash. */
  readonly name: string;
  /** Environment variables that hold its key, the preferred one first. For ollama: its address. */
  readonly keyVariables: readonly string[];
  /** What agents get that name no model; null for providers that are not chosen by themselves. */
  readonly defaultModel: string | null;
}

/** Providers whose keys are known by name, in the order in which they are chosen for agents that name no model. */
export const providers = [
  {
    name: "anthropic",
    keyVariables: ["ANTHROPIC_API_KEY"],
    defaultModel: "anthropic/claude-sonnet-4-6",
  },
  { name: "openai", keyVariables: ["OPENAI_API_KEY"], defaultModel: "openai/gpt-5.2" },
  { name: "ollama", keyVariables: ["OLLAMA_HOST"], defaultModel: "ollama/qwen3" },
  { name: "google", keyVariables: ["GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"], defaultModel: null },
  { name: "mistral", keyVariables: ["MISTRAL_API_KEY"], defaultModel: null },
  { name: "groq", keyVariables: ["GROQ_API_KEY"], defaultModel: null },
  { name: "xai", keyVariables: ["XAI_API_KEY"], defaultModel: null },
  { name: "deepseek", keyVariables: ["DEEPSEEK_API_KEY"], defaultModel: null },
  { name: "openrouter", keyVariables: ["OPENROUTER_API_KEY"], defaultModel: null },
] as const satisfies readonly Provider[];
