import { errorMessage } from "../lib/errors.ts";
import { isRecord } from "../lib/json.ts";
import { LONGEST_TIMER_MS } from "../lib/units.ts";
import type { ResultBlock } from "../log/content.ts";
import type { ToolOutcome } from "../log/entry.ts";
import { limitText } from "./output.ts";
import type { Tool, ToolContext, ToolResult } from "./tool.ts";

/** What a call came to, ready for its `toolFinished` entry. */
export interface Executed {
  readonly outcome: Extract<ToolOutcome, "ok" | "error" | "cancelled" | "timedOut" | "unknown">;
  readonly blocks: readonly ResultBlock[];
  readonly details?: Readonly<Record<string, unknown>>;
}

const DEFAULT_TIMEOUT_MS = 120_000;
/** How long a tool may take to settle after its signal was aborted, before its call is finished without it. */
const SETTLE_MS = 5_000;

/**
 * Runs one call whose intent is on disk, and always comes back with a result: a tool that throws, hangs or answers with
 * nothing costs its own call only.
 */
export function execute(tool: Tool, input: unknown, context: ToolContext): Promise<Executed> {
  return supervise(tool, context, async (limited) => limitSize(await run(tool, input, limited), context));
}

async function run(tool: Tool, input: unknown, context: ToolContext): Promise<Executed> {
  try {
    return fromResult(await tool.run(input, context));
  } catch (error) {
    if (context.signal.aborted) throw error;
    return failed(tool, error);
  }
}

/** Asks a tool what became of a call that an earlier process started; "notStarted" means that it may be run. */
export async function reconcile(
  tool: Tool & Required<Pick<Tool, "reconcile">>,
  input: unknown,
  context: ToolContext,
): Promise<Executed | "notStarted"> {
  let notStarted = false;
  const executed = await supervise(tool, context, async (limited) => {
    const answer = await tool.reconcile(input, limited);
    switch (answer.type) {
      case "finished":
        return limitSize(fromResult(answer.result), context);
      case "lost":
        return { outcome: "unknown", blocks: [{ type: "text", text: unknownText(tool.name, answer.why) }] };
      case "notStarted":
        notStarted = true;
        return { outcome: "ok", blocks: [] };
    }
  });
  return notStarted ? "notStarted" : executed;
}

/** What the model is told of a call of which nobody can say whether it happened. `why` completes "..., and". */
export function unknownText(name: string, why: string): string {
  return (
    `Unknown outcome: ${name} had been started when the runtime was interrupted, and ${why}. ` +
    "It may have happened completely, partly or not at all, and it was NOT repeated. " +
    "Find out what its effect was before you do anything that depends on it or try it again."
  );
}

async function supervise(
  tool: Tool,
  context: ToolContext,
  work: (context: ToolContext) => Promise<Executed>,
): Promise<Executed> {
  const limit = new AbortController();
  const timeoutMs = tool.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const timer = setTimeout(() => limit.abort(TIMED_OUT), Math.min(timeoutMs, LONGEST_TIMER_MS));
  const onStop = () => limit.abort(context.signal.reason);
  if (context.signal.aborted) onStop();
  else context.signal.addEventListener("abort", onStop, { once: true });
  const stuck = whenStuck(limit.signal);
  try {
    const executed = await Promise.race([
      // The extra function turns a synchronous throw into a rejection.
      (async () => work({ ...context, signal: limit.signal }))(),
      stuck.promise,
    ]);
    // A tool that finished its work although it was told to end has done it: its own word stands.
    return limit.signal.aborted && executed.outcome === "error"
      ? interrupted(limit.signal, tool, executed)
      : executed;
  } catch (error) {
    return limit.signal.aborted ? interrupted(limit.signal, tool) : failed(tool, error);
  } finally {
    clearTimeout(timer);
    stuck.cancel();
    context.signal.removeEventListener("abort", onStop);
  }
}

const TIMED_OUT = Symbol("timedOut");

/** Rejects some time after the signal was aborted, so that a tool that ignores its signal cannot hold up its session. */
function whenStuck(signal: AbortSignal): { readonly promise: Promise<never>; cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const arm = () => {
    timer = setTimeout(() => reject(signal.reason), SETTLE_MS);
  };
  if (signal.aborted) arm();
  else signal.addEventListener("abort", arm, { once: true });
  return {
    promise,
    cancel() {
      signal.removeEventListener("abort", arm);
      clearTimeout(timer);
    },
  };
}

function interrupted(signal: AbortSignal, tool: Tool, partial?: Executed): Executed {
  const timedOut = signal.reason === TIMED_OUT;
  const why = timedOut
    ? `${tool.name} was ended after its time limit of ${Math.round((tool.timeoutMs ?? DEFAULT_TIMEOUT_MS) / 1000)} s.`
    : `${tool.name} was ended because the run was stopped. What it had done until then stays done.`;
  return {
    outcome: timedOut ? "timedOut" : "cancelled",
    blocks: [...(partial?.blocks ?? []), { type: "text", text: why }],
    ...(partial?.details === undefined ? {} : { details: partial.details }),
  };
}

function failed(tool: Tool, error: unknown): Executed {
  return {
    outcome: "error",
    blocks: [{ type: "text", text: `${tool.name} failed: ${errorMessage(error)}` }],
  };
}

function fromResult(result: ToolResult): Executed {
  if (!isResult(result)) {
    const text = "It answered with something else than text or { content }; what it did stays done.";
    return { outcome: "error", blocks: [{ type: "text", text }] };
  }
  const outcome = result.timedOut === true ? "timedOut" : result.isError === true ? "error" : "ok";
  return {
    outcome,
    blocks: blocksOf(result.content),
    ...(result.details === undefined ? {} : { details: storable(result.details) }),
  };
}

/** Types are gone at run time, and tools may be written in JavaScript. */
function isResult(result: unknown): result is ToolResult {
  return isRecord(result) && (typeof result.content === "string" || Array.isArray(result.content));
}

/** The call has happened, so details that are not JSON (a bigint, a cycle) must not keep its result out of the log. */
function storable(details: NonNullable<ToolResult["details"]>): NonNullable<ToolResult["details"]> {
  try {
    JSON.stringify(details);
    return details;
  } catch (error) {
    return { notStorable: errorMessage(error) };
  }
}

/** A long text is kept as a file in the workspace, and the model gets its beginning, its end and the file's path. */
async function limitSize(executed: Executed, { callId, sandbox }: ToolContext): Promise<Executed> {
  const blocks: ResultBlock[] = [];
  for (const block of executed.blocks) {
    if (block.type === "text")
      blocks.push({ type: "text", text: (await limitText(block.text, sandbox, callId)).text });
    else blocks.push(block);
  }
  return { ...executed, blocks };
}

/** Providers refuse empty results, and a model that sees nothing tends to call again. */
function blocksOf(content: ToolResult["content"]): readonly ResultBlock[] {
  const blocks = typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
  const filled = blocks.filter((block) => block.type !== "text" || block.text !== "");
  return filled.length > 0 ? filled : [{ type: "text", text: "(done, no output)" }];
}
