import { isRecord } from "../lib/json.ts";
import type { ToolContext, ToolOutput } from "./tool.ts";

/** Characters of output that are shown live. Enough to follow; what prints gigabytes is not sent to every watcher. */
const MAX_CHARACTERS = 1_000_000;
const MAX_MESSAGE = 500;

/**
 * What a tool shows while it runs, on its way to the watchers: of the shape that they expect, bounded, and nothing any more
 * when the call has ended. It is a courtesy, so what is wrong with it is left out without a word.
 */
export function liveOutput({ emit }: Pick<ToolContext, "emit">): {
  readonly emit: ToolContext["emit"];
  end(): void;
} {
  let ended = false;
  let shown = 0;

  function pass(given: unknown): void {
    const output = readOutput(given);
    if (output === undefined || ended || shown > MAX_CHARACTERS) return;
    if (output.type === "output") shown += output.text.length;
    if (shown <= MAX_CHARACTERS) emit(output);
    else emit({ type: "progress", message: "The output goes on; the rest is not shown live." });
  }

  return {
    emit: pass,
    end() {
      ended = true;
    },
  };
}

function readOutput(given: unknown): ToolOutput | undefined {
  if (!isRecord(given)) return undefined;
  const { type, stream, text, message, fraction } = given;
  if (type === "output" && (stream === "stdout" || stream === "stderr") && typeof text === "string") {
    return { type, stream, text };
  }
  if (type !== "progress" || typeof message !== "string") return undefined;
  const share = typeof fraction === "number" && Number.isFinite(fraction) ? fraction : undefined;
  return {
    type,
    message: message.slice(0, MAX_MESSAGE).toWellFormed(),
    ...(share === undefined ? {} : { fraction: Math.min(1, Math.max(0, share)) }),
  };
}
