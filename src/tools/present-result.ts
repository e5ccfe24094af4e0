import { errorMessage } from "../lib/errors.ts";
import { isRecord } from "../lib/json.ts";
import type { ResultBlock } from "../log/content.ts";
import type { ToolOutcome } from "../log/entry.ts";
import { neutraliseMarkers } from "../log/markers.ts";
import { cleanText, formatBytes } from "./clean-text.ts";
import { presentImages } from "./images.ts";
import { type LimitedBlocks, limitBlocks } from "./limit-blocks.ts";
import { limitText, outputLimits, outputPath } from "./output.ts";
import { plainStructured } from "./structured.ts";
import type { Tool, ToolContext, ToolResult } from "./tool.ts";

/** What a call came to, ready for its `toolFinished` entry. */
export interface Executed {
  readonly outcome: Extract<ToolOutcome, "ok" | "error" | "cancelled" | "timedOut" | "unknown">;
  readonly blocks: readonly ResultBlock[];
  readonly structured?: unknown;
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * From what a tool returned to what stands in the log and is shown to the model: checked, cleaned, and of a size that the
 * session can carry from then on. The call has happened, so whatever is wrong with its result, something is kept of it.
 * Types are gone at run time and tools may be written in JavaScript, so nothing is believed of `returned`.
 * @throws the signal's reason when the call is ended while an image is scaled down.
 */
export async function presentResult(tool: Tool, returned: unknown, context: ToolContext): Promise<Executed> {
  const result = readResult(returned);
  if (result === undefined) return wrongAnswer();
  const structured = await presentStructured(tool, result, context);
  const given = blocksOf(result.content);
  const told =
    given.length > 0 ? [...structured.notes, ...given] : [...structured.notes, ...structured.shown];
  const { blocks, files } = await presentBlocks(told.length > 0 ? told : [NOTHING], context);
  const [outputFile] = files;
  const details = {
    ...(outputFile === undefined ? {} : { outputFile }),
    ...result.details,
    ...structured.details,
  };
  return {
    outcome: structured.isError ? "error" : outcomeOf(result),
    blocks,
    ...("value" in structured ? { structured: structured.value } : {}),
    ...(Object.keys(details).length === 0 ? {} : { details: storable(details) }),
  };
}

/** Providers refuse empty results, and a model that sees nothing tends to call again. */
const NOTHING: ResultBlock = { type: "text", text: "(done, no output)" };

/** A function that returns nothing has an empty result. Undefined for what is no result at all. */
function readResult(returned: unknown): ToolResult | undefined {
  if (returned === undefined || returned === null) return { content: "" };
  if (typeof returned === "string") return { content: returned };
  if (!isRecord(returned)) return undefined;
  const { content, structured, details } = returned;
  const hasContent = typeof content === "string" || Array.isArray(content);
  if (!hasContent && structured === undefined) return undefined;
  return {
    ...(hasContent ? { content } : {}),
    ...(structured === undefined ? {} : { structured }),
    ...(isRecord(details) ? { details } : {}),
    isError: returned.isError === true,
    timedOut: returned.timedOut === true,
  };
}

function wrongAnswer(): Executed {
  const text =
    "It answered with something else than text, { content } or { structured }; what it did stays done.";
  return { outcome: "error", blocks: [{ type: "text", text }] };
}

function outcomeOf({ isError, timedOut }: ToolResult): "ok" | "error" | "timedOut" {
  if (timedOut === true) return "timedOut";
  return isError === true ? "error" : "ok";
}

// ---- structured ----

interface Structured {
  /** What the model has to be told besides the content. */
  readonly notes: readonly ResultBlock[];
  /** What the model is shown where there is no content. */
  readonly shown: readonly ResultBlock[];
  /** What goes into the log; absent when there is nothing, or too much. */
  readonly value?: unknown;
  readonly details?: NonNullable<ToolResult["details"]>;
  readonly isError: boolean;
}

async function presentStructured(
  tool: Tool,
  { structured, isError, timedOut }: ToolResult,
  context: ToolContext,
): Promise<Structured> {
  const failed = isError === true || timedOut === true;
  if (structured === undefined && (tool.outputSchema === undefined || failed)) {
    return { notes: [], shown: [], isError: false };
  }
  // What a tool says of its own failure need not have the shape of a success.
  const plain = plainStructured(failed ? {} : tool, structured);
  if (!plain.ok) return { notes: [misfit(tool, plain.complaint)], shown: [], isError: true };
  const { value, json } = plain;
  if (Buffer.byteLength(json) > outputLimits.inline) return keepAsFile(value, context);
  return { notes: [], shown: [{ type: "text", text: json }], value, isError: false };
}

function misfit({ name }: Tool, complaint: string): ResultBlock {
  const text = `${name} did its work, and what it did stays done, but its structured result is not what it declares: ${complaint}`;
  return { type: "text", text };
}

/** In the file a value stands on each line, so that it can be searched and read in ranges. */
async function keepAsFile(value: unknown, { callId, sandbox }: ToolContext): Promise<Structured> {
  const path = outputPath(callId, { extension: "json" });
  const { text, bytes, file } = await limitText(JSON.stringify(value, null, 1), sandbox, path);
  const where = file === null ? "could not be kept" : `is in ${file}`;
  return {
    notes: [{ type: "text", text: `[The structured result (${formatBytes(bytes)} of JSON) ${where}.]` }],
    shown: [{ type: "text", text }],
    details: { structuredBytes: bytes, ...(file === null ? {} : { structuredFile: file }) },
    isError: false,
  };
}

/** Details that are not JSON (a bigint, a cycle), or are as long as an output, must not keep a result out of the log. */
function storable(details: NonNullable<ToolResult["details"]>): NonNullable<ToolResult["details"]> {
  try {
    const bytes = Buffer.byteLength(JSON.stringify(details));
    return bytes <= outputLimits.inline ? details : { notStorable: `${formatBytes(bytes)} of JSON` };
  } catch (error) {
    return { notStorable: errorMessage(error) };
  }
}

// ---- content ----

async function presentBlocks(given: readonly ResultBlock[], context: ToolContext): Promise<LimitedBlocks> {
  const cleaned = given.map((block) => mapText(block, cleanText));
  const { blocks, files } = await limitBlocks(await presentImages(cleaned, context.signal), context);
  // Last, since cleaning can join what was apart.
  return { blocks: blocks.map((block) => mapText(block, neutraliseMarkers)), files };
}

function mapText(block: ResultBlock, change: (text: string) => string): ResultBlock {
  return block.type === "text" ? { type: "text", text: change(block.text) } : block;
}

function blocksOf(content: ToolResult["content"] = []): readonly ResultBlock[] {
  const blocks = typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
  return blocks.map(asBlock).filter((block) => block.type !== "text" || block.text !== "");
}

function asBlock(block: unknown): ResultBlock {
  if (isRecord(block)) {
    const { type, text, data, mediaType } = block;
    if (type === "text" && typeof text === "string") return { type, text };
    // What kind of image it is, its bytes say.
    if (type === "image" && typeof data === "string") {
      return { type, data, mediaType: typeof mediaType === "string" ? mediaType : "image/*" };
    }
  }
  const kind = isRecord(block) ? JSON.stringify(block.type) : typeof block;
  return { type: "text", text: `[A block of the type ${kind} was left out: results hold text and images.]` };
}
