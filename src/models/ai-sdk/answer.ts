import type {
  LanguageModelV4StreamPart,
  LanguageModelV4ToolCall,
  SharedV4ProviderMetadata,
} from "@ai-sdk/provider";
import type { ModelEvent } from "../model.ts";
import { readArguments } from "../tool-arguments.ts";
import { type Dialect, saysWhatIsComplete } from "./dialect.ts";
import { toFailure } from "./failure.ts";
import { type Draft, finish, soFar } from "./finish.ts";
import { mergeMetadata } from "./sidecar.ts";

/** Gathers the parts of one stream into an answer. Runs for every chunk, so it does as little as it can. */
export interface AnswerReader {
  /**
   * Takes the next part and returns what watchers see of it. After `finished` or `failed`, parts are to be left alone.
   * A call that comes in one piece has no deltas.
   */
  take(part: LanguageModelV4StreamPart): ModelEvent | undefined;
  /** Whether there is a call of which `tell` has not told yet. */
  readonly hasNews: boolean;
  /**
   * The answer up to the last call that is complete together with all that stands before it: once, as soon as it is clear that
   * the answer goes on, because `next` is a piece of it, or because (without `next`) the provider is silent.
   */
  tell(next?: LanguageModelV4StreamPart): ModelEvent | undefined;
}

const CONTENT: ReadonlySet<LanguageModelV4StreamPart["type"]> = new Set([
  "text-start",
  "text-delta",
  "reasoning-start",
  "reasoning-delta",
  "tool-input-start",
  "tool-input-delta",
  "tool-call",
]);

type Part<Type extends LanguageModelV4StreamPart["type"]> = Extract<
  LanguageModelV4StreamPart,
  { readonly type: Type }
>;

export function createAnswerReader(dialect: Dialect): AnswerReader {
  const { provider } = dialect;
  /** In the order in which they began. */
  const drafts: Draft[] = [];
  // Those that may still grow. Texts, thoughts and calls are numbered independently of each other.
  const texts = new Map<string, Draft>();
  const thoughts = new Map<string, Draft>();
  const calls = new Map<string, Draft>();
  let hasReasoned = false;
  /** How many drafts are complete from the first one on, and how many of them were told of. */
  let complete = 0;
  let told = 0;
  let news: ModelEvent | undefined;

  function begin(open: Map<string, Draft>, draft: Draft): Draft {
    drafts.push(draft);
    open.set(draft.id, draft);
    return draft;
  }

  /** Tolerates a delta without a start: the block begins with it. */
  function grow(open: Map<string, Draft>, type: Draft["type"], part: Part<"text-delta" | "reasoning-delta">) {
    const draft = open.get(part.id) ?? begin(open, newDraft(type, part.id));
    draft.text += part.delta;
    if (part.providerMetadata !== undefined) addMetadata(draft, part.providerMetadata);
  }

  /** Watchers see one text of all thoughts, in which each begins a new paragraph. */
  function takeThought(part: Part<"reasoning-delta">): ModelEvent | undefined {
    const isNew = hasReasoned && (thoughts.get(part.id)?.text ?? "") === "";
    grow(thoughts, "reasoning", part);
    if (part.delta === "") return undefined;
    hasReasoned = true;
    return { type: "reasoningDelta", text: isNew ? `\n\n${part.delta}` : part.delta };
  }

  function beginCall(part: Part<"tool-input-start">): ModelEvent {
    const { id: callId, toolName: name, providerMetadata } = part;
    if (!saysWhatIsComplete(dialect)) endWhatIsWhole();
    begin(calls, newDraft("toolCall", callId, providerMetadata, name));
    return { type: "toolCallStarted", callId, name };
  }

  function growCall({ id: callId, delta: text }: Part<"tool-input-delta">): ModelEvent | undefined {
    const draft = calls.get(callId);
    if (text === "" || draft === undefined) return undefined;
    if (!draft.isComplete) draft.text += text;
    return { type: "toolCallDelta", callId, text };
  }

  function takeCall(part: LanguageModelV4ToolCall): ModelEvent | undefined {
    const { toolCallId: callId, toolName: name, input, providerMetadata } = part;
    const begun = calls.get(callId);
    const draft = begun ?? begin(calls, newDraft("toolCall", callId, undefined, name));
    // What was told once does not change.
    if (!draft.isComplete) draft.text = input;
    end(calls, callId, providerMetadata);
    noteNews();
    return begun === undefined ? { type: "toolCallStarted", callId, name } : undefined;
  }

  /** Now that a call begins: texts go on as new ones, and nothing can follow in a call whose object is closed. */
  function endWhatIsWhole(): void {
    for (const open of [texts, thoughts]) {
      for (const draft of open.values()) draft.isComplete = true;
      open.clear();
    }
    for (const draft of calls.values()) draft.isComplete ||= isObject(draft.text);
    noteNews();
  }

  function noteNews(): void {
    const count = completeCalls();
    if (count <= told) return;
    told = count;
    news = soFar(drafts.slice(0, count), provider);
  }

  /** The number of drafts up to the last call in the unbroken row of complete ones. */
  function completeCalls(): number {
    while (drafts[complete]?.isComplete) complete++;
    return drafts.slice(0, complete).findLastIndex((draft) => draft.type === "toolCall") + 1;
  }

  return {
    get hasNews() {
      return news !== undefined;
    },
    tell(next) {
      if (news === undefined || (next !== undefined && !CONTENT.has(next.type))) return undefined;
      const event = news;
      news = undefined;
      return event;
    },
    take(part) {
      switch (part.type) {
        case "text-delta":
          grow(texts, "text", part);
          return part.delta === "" ? undefined : { type: "textDelta", text: part.delta };
        case "reasoning-delta":
          return takeThought(part);
        case "tool-input-delta":
          return growCall(part);
        case "text-start":
          begin(texts, newDraft("text", part.id, part.providerMetadata));
          return undefined;
        case "reasoning-start":
          begin(thoughts, newDraft("reasoning", part.id, part.providerMetadata));
          return undefined;
        case "tool-input-start":
          return part.providerExecuted ? undefined : beginCall(part);
        case "text-end":
          end(texts, part.id, part.providerMetadata);
          return undefined;
        case "reasoning-end":
          end(thoughts, part.id, part.providerMetadata);
          return undefined;
        case "tool-call":
          return part.providerExecuted ? undefined : takeCall(part);
        case "finish":
          return finish(drafts, part, provider);
        case "error":
          return { type: "failed", failure: toFailure(part.error) };
        // Of no use here: we offer no tools of the provider, and ask for no files, sources or raw chunks.
        case "tool-input-end":
        case "stream-start":
        case "response-metadata":
        case "ping":
        case "raw":
        case "custom":
        case "file":
        case "reasoning-file":
        case "source":
        case "tool-result":
        case "tool-approval-request":
          return undefined;
      }
    },
  };
}

function isObject(text: string): boolean {
  const { malformed, repaired } = readArguments(text, "toolCalls");
  return text !== "" && malformed === undefined && repaired === undefined;
}

function newDraft(
  type: Draft["type"],
  id: string,
  metadata?: SharedV4ProviderMetadata | undefined,
  name = "",
): Draft {
  return { type, id, name, text: "", metadata: metadata ?? null, isComplete: false };
}

function addMetadata(draft: Draft, metadata: SharedV4ProviderMetadata | undefined): void {
  draft.metadata = mergeMetadata(draft.metadata, metadata);
}

function end(open: Map<string, Draft>, id: string, metadata: SharedV4ProviderMetadata | undefined): void {
  const draft = open.get(id);
  if (draft === undefined) return;
  addMetadata(draft, metadata);
  draft.isComplete = true;
  open.delete(id);
}
