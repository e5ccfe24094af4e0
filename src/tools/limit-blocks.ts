import type { ResultBlock } from "../log/content.ts";
import { limitText, type OutputLimits, outputLimits, outputPath } from "./output.ts";
import type { ToolContext } from "./tool.ts";

export interface LimitedBlocks {
  readonly blocks: readonly ResultBlock[];
  /** Where the whole texts are, of those that were cut. */
  readonly files: readonly string[];
}

/**
 * The texts of a result, held to `limits.inline` bytes together: what is longer is kept as a file each, and the model gets its
 * beginning, its end and the path. Short texts stay whole; long ones share the room that these leave.
 */
export async function limitBlocks(
  blocks: readonly ResultBlock[],
  { callId, sandbox }: Pick<ToolContext, "callId" | "sandbox">,
  limits: OutputLimits = outputLimits,
): Promise<LimitedBlocks> {
  const sizes = blocks.flatMap((block) => (block.type === "text" ? [Buffer.byteLength(block.text)] : []));
  const share = fairShare(sizes, limits.inline);
  if (share === Number.POSITIVE_INFINITY) return { blocks, files: [] };
  if (sizes.length > 1 && share < limits.inline / MAX_PARTS) {
    return limitBlocks(joinTexts(blocks), { callId, sandbox }, limits);
  }
  const limited: ResultBlock[] = [];
  const files: string[] = [];
  let part = 0;
  for (const block of blocks) {
    if (block.type !== "text") {
      limited.push(block);
      continue;
    }
    part += 1;
    const { text, file } = await limitText(
      block.text,
      sandbox,
      outputPath(callId, { part }),
      scaled(limits, share),
    );
    limited.push({ type: "text", text });
    if (file !== null) files.push(file);
  }
  return { blocks: limited, files };
}

/** More long texts than this are kept as one, since excerpts of a few words each tell nothing. */
const MAX_PARTS = 16;

/** The size up to which each may go, so that all together are at most `total`; infinity when all are as they are. */
function fairShare(sizes: readonly number[], total: number): number {
  let room = total;
  const ascending = sizes.toSorted((a, b) => a - b);
  for (const [i, size] of ascending.entries()) {
    const share = Math.floor(room / (ascending.length - i));
    if (size > share) return share;
    room -= size;
  }
  return Number.POSITIVE_INFINITY;
}

function scaled(limits: OutputLimits, inline: number): OutputLimits {
  const part = inline / limits.inline;
  return {
    ...limits,
    inline,
    head: Math.floor(limits.head * part),
    tail: Math.floor(limits.tail * part),
  };
}

/** All texts as the first block, then what is no text. */
function joinTexts(blocks: readonly ResultBlock[]): readonly ResultBlock[] {
  const texts = blocks.flatMap((block) => (block.type === "text" ? [block.text] : []));
  return [{ type: "text", text: texts.join("\n") }, ...blocks.filter(({ type }) => type !== "text")];
}
