import { errorMessage, isAppError } from "../lib/errors.ts";
import { isRecord } from "../lib/json.ts";
import { LONGEST_TIMER_MS } from "../lib/units.ts";
import type { ResultBlock } from "../log/content.ts";
import { neutraliseMarkers } from "../log/markers.ts";
import { liveOutput } from "./live-output.ts";
import { type Executed, presentResult } from "./present-result.ts";
import type { Reconciled, Tool, ToolContext, ToolResult } from "./tool.ts";

const DEFAULT_TIMEOUT_MS = 120_000;
/**
 * How long a tool may take to settle after its signal was aborted, before its call is finished without it. After a stop
 * somebody waits, and is promised that all has ended within two seconds.
 */
const SETTLE_MS = { timeout: 5_000, stop: 1_500 } as const;

/**
 * Runs one call whose intent is on disk, and always comes back with a result: a tool that throws, hangs or answers with
 * nothing costs its own call only.
 */
export function execute(tool: Tool, input: unknown, context: ToolContext): Promise<Executed> {
  return supervise(tool, context, async (limited) =>
    presentResult(tool, await run(tool, input, limited), limited),
  );
}

async function run(tool: Tool, input: unknown, context: ToolContext): Promise<ToolResult> {
  try {
    return await tool.run(input, context);
  } catch (error) {
    if (context.signal.aborted) throw error;
    return { content: failureText(tool, error), isError: true };
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
    const answer = await ask(tool, input, limited);
    switch (answer.type) {
      case "finished":
        return presentResult(tool, answer.result, limited);
      case "lost":
        return { outcome: "unknown", blocks: [textBlock(unknownText(tool.name, answer.why))] };
      case "notStarted":
        notStarted = true;
        return { outcome: "ok", blocks: [] };
    }
  });
  return notStarted ? "notStarted" : executed;
}

/** A tool that cannot tell has not said that nothing happened. */
async function ask(
  tool: Tool & Required<Pick<Tool, "reconcile">>,
  input: unknown,
  context: ToolContext,
): Promise<Reconciled> {
  try {
    const answer = await tool.reconcile(input, context);
    if (isRecord(answer) && RECONCILED.has(answer.type)) return answer;
    return { type: "lost", why: "the question what became of it was not answered" };
  } catch (error) {
    if (context.signal.aborted) throw error;
    return { type: "lost", why: `the question what became of it failed (${errorMessage(error)})` };
  }
}

const RECONCILED: ReadonlySet<unknown> = new Set<Reconciled["type"]>(["finished", "notStarted", "lost"]);

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
  const late = rejectsAfter(limit.signal, SETTLE_MS.timeout);
  const lateAfterStop = rejectsAfter(context.signal, SETTLE_MS.stop);
  const live = liveOutput(context);
  try {
    const executed = await Promise.race([
      // The extra function turns a synchronous throw into a rejection.
      (async () => work({ ...context, signal: limit.signal, emit: live.emit }))(),
      late.promise,
      lateAfterStop.promise,
    ]);
    // A tool that finished its work although it was told to end has done it: its own word stands.
    return limit.signal.aborted && executed.outcome === "error"
      ? interrupted(limit.signal, tool, executed)
      : executed;
  } catch (error) {
    if (limit.signal.aborted) return interrupted(limit.signal, tool);
    return { outcome: "error", blocks: [textBlock(failureText(tool, error))] };
  } finally {
    live.end();
    clearTimeout(timer);
    late.cancel();
    lateAfterStop.cancel();
    context.signal.removeEventListener("abort", onStop);
  }
}

const TIMED_OUT = Symbol("timedOut");

/** Rejects some time after the signal was aborted, so that a tool that ignores its signal cannot hold up its session. */
function rejectsAfter(
  signal: AbortSignal,
  settleMs: number,
): { readonly promise: Promise<never>; cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const arm = () => {
    timer = setTimeout(() => reject(signal.reason), settleMs);
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
  const { outcome, why } = whyInterrupted(signal, tool);
  return {
    outcome,
    blocks: [...(partial?.blocks ?? []), textBlock(`${tool.name} was ended ${why}`)],
    ...(partial?.details === undefined ? {} : { details: partial.details }),
  };
}

function whyInterrupted(
  { reason }: AbortSignal,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: Tool,
): { readonly outcome: "timedOut" | "cancelled"; readonly why: string } {
  if (reason === TIMED_OUT) {
    return { outcome: "timedOut", why: `after its time limit of ${timeoutMs / 1000} s.` };
  }
  const stays = "What it had done until then stays done.";
  return isAppError(reason, "timeout")
    ? { outcome: "timedOut", why: `because the run has reached its time limit. ${stays}` }
    : { outcome: "cancelled", why: `because the run was stopped. ${stays}` };
}

function failureText({ name }: Tool, error: unknown): string {
  return `${name} failed: ${errorMessage(error)}`;
}

function textBlock(text: string): ResultBlock {
  return { type: "text", text: neutraliseMarkers(text) };
}
