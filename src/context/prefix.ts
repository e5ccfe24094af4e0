import { createHash, type Hash } from "node:crypto";
import type { Agent } from "../agents/agent.ts";
import type { Message } from "../log/content.ts";
import type { Prefix, PrefixBreak } from "../log/entry.ts";
import type { SentRequest, SessionState } from "../log/state.ts";
import type { ModelFacts, ModelRequest } from "../models/model.ts";
import { assemble } from "./assemble.ts";
import { type Head, headOfState } from "./epoch.ts";
import { estimateMessage, sum } from "./estimate.ts";

/** Of the request that is sent next. `state` is the state before that is recorded. @pure */
export function nextPrefix(
  state: SessionState,
  agent: Agent,
  model: string,
  facts: Pick<ModelFacts, "images">,
): Prefix {
  return prefixOf(assemble("", state, agent, facts), model, state, agent);
}

/**
 * How much of a request the one before it held, too, and why that is not all of it. `state` is the state before the request
 * is recorded; the messages of the request begin with those of the state. Costs as much as what is new in the request.
 * @pure
 */
export function prefixOf(request: ModelRequest, model: string, state: SessionState, agent: Agent): Prefix {
  const head = headOfState(state, agent);
  const { hash, tokens } = digest(request, model, state.messages, head);
  const { sent } = state;
  if (sent === null) return { hash, tokens, reusable: 0 };
  const broke = whyBroken(sent, model, head, state);
  const reusable = reusableTokens(sent, model, head, { tokens, messages: request.messages });
  return { hash, tokens, reusable, ...(broke === undefined ? {} : { broke }) };
}

function whyBroken(
  sent: SentRequest,
  model: string,
  head: Head,
  { context }: SessionState,
): PrefixBreak | undefined {
  if (sent.model !== model) return "modelChanged";
  if (sent.cut) return "compacted";
  if (sent.toolsHash !== head.toolsHash) return "toolsChanged";
  return sent.promptHash === head.promptHash ? undefined : (context?.cause ?? "promptChanged");
}

/** Providers read tools before the system prompt, and both before the messages. */
function reusableTokens(
  sent: SentRequest,
  model: string,
  head: Head,
  whole: { readonly tokens: number; readonly messages: readonly Message[] },
): number {
  if (sent.model !== model || sent.toolsHash !== head.toolsHash) return 0;
  if (sent.promptHash !== head.promptHash) return head.toolTokens;
  return whole.tokens - sum(whole.messages.slice(sent.messages), estimateMessage);
}

interface Digest {
  readonly hash: string;
  readonly tokens: number;
}

/** Tools, system prompt, messages: the order in which providers read them. */
function digest(
  { system, tools, messages }: ModelRequest,
  model: string,
  transcript: readonly Message[],
  head: Head,
): Digest {
  // What a model is sent of a message depends on what it can see.
  const key = `${model} ${head.toolsHash} ${head.promptHash}`;
  let known = digested.get(transcript);
  if (known?.key !== key || known.count > transcript.length) {
    const hash = createHash("sha256").update(JSON.stringify(tools)).update(JSON.stringify(system));
    known = { key, hash, tokens: head.toolTokens + head.systemTokens, count: 0 };
    digested.set(transcript, known);
  }
  take(known, messages.slice(known.count, transcript.length));
  const whole = { hash: known.hash.copy(), tokens: known.tokens, count: known.count };
  take(whole, messages.slice(transcript.length));
  return { hash: whole.hash.digest("hex").slice(0, HASH_LENGTH), tokens: whole.tokens };
}

const HASH_LENGTH = 16;

interface Running {
  readonly hash: Hash;
  tokens: number;
  /** Messages that are in it. */
  count: number;
}

/** A transcript only ever grows at its end; a compaction begins a new one. */
const digested = new WeakMap<readonly Message[], Running & { readonly key: string }>();

function take(running: Running, messages: readonly Message[]): void {
  for (const message of messages) {
    running.hash.update(JSON.stringify(message));
    running.tokens += estimateMessage(message);
    running.count += 1;
  }
}
