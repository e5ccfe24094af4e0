import type { SharedV4ProviderMetadata } from "@ai-sdk/provider";
import { isRecord } from "../../lib/json.ts";
import type { Message, Sidecar } from "../../log/content.ts";

/** For each block of the message, in order, what its provider wants back with it; null for nothing. */
export type BlockMetadata = readonly (SharedV4ProviderMetadata | null)[];

/** Undefined when no block has any, so that most messages carry no sidecar. */
export function toSidecar(provider: string, metadata: BlockMetadata): Sidecar | undefined {
  const last = metadata.findLastIndex((item) => item !== null);
  return last < 0 ? undefined : { provider, data: metadata.slice(0, last + 1) };
}

/** What goes back with the blocks of a message: empty when another provider wrote it. */
export function metadataFor(
  message: Extract<Message, { role: "assistant" }>,
  provider: string,
): readonly (SharedV4ProviderMetadata | undefined)[] {
  const { sidecar } = message;
  if (sidecar?.provider !== provider || !Array.isArray(sidecar.data)) return [];
  return sidecar.data.map((item: unknown) =>
    isRecord(item) ? (item as SharedV4ProviderMetadata) : undefined,
  );
}

/** A block's metadata comes in pieces with its start, deltas and end; later ones win field by field. */
export function mergeMetadata(
  earlier: SharedV4ProviderMetadata | null,
  later: SharedV4ProviderMetadata | undefined,
): SharedV4ProviderMetadata | null {
  if (later === undefined) return earlier;
  if (earlier === null) return later;
  const merged = { ...earlier };
  for (const [name, fields] of Object.entries(later)) merged[name] = { ...merged[name], ...fields };
  return merged;
}
