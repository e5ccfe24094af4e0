import type { z } from "zod";
import type { JsonSchema } from "../lib/json.ts";
import type { ResultBlock } from "../log/content.ts";
import type { CallPreview, Effect } from "../log/entry.ts";
import type { DeclaredRisk } from "../permissions/policy.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";

/** The port to something that the model may call. */
export interface Tool {
  /** 1 to 64 characters of `[a-zA-Z0-9_-]`; what providers accept. */
  readonly name: string;
  /** For the model: what it does, when to use it, when not, and why. */
  readonly description: string;
  readonly inputSchema: JsonSchema;
  /** What `structured` of a result holds, for programs that read it. A result that does not fit is an error. */
  readonly outputSchema?: JsonSchema;
  /** What becomes of a call that was under way when its node died. */
  readonly effect: Effect;
  /**
   * Its calls have nothing to do with others of the same answer, although they write: they run side by side, as calls that
   * only read do, and one that fails leaves the others alone. Default false.
   */
  readonly parallel?: boolean;
  /** Default 2 minutes. The tool's signal is aborted then. */
  readonly timeoutMs?: number;
  /**
   * How hard its calls are to take back, and how far they reach; from it follows what asks a person. A function must be pure, and gets
   * checked arguments. Default: `readonly` changes nothing, anything else is hard to take back and reaches outside.
   */
  readonly risk?: DeclaredRisk | ((input: unknown) => DeclaredRisk);

  /** Checks the model's arguments. Never throws. */
  parse(input: unknown): ParsedInput;

  /**
   * Checks a structured result: what does not fit, field by field, or undefined. Absent: it is checked with `outputSchema`.
   * Never throws.
   */
  checkOutput?(structured: unknown): string | undefined;

  /**
   * Does it. An expected failure is a result with `isError`; whatever is thrown is told to the model as an error, too.
   * Must settle soon after `context.signal` is aborted; if it does not, the call is finished without it.
   */
  run(input: unknown, context: ToolContext): Promise<ToolResult>;

  /**
   * What a call would change, for the person who is asked about it: asked before it starts, and changes nothing. Null: there is
   * nothing to show. A failure is not told to anybody.
   */
  preview?(
    input: unknown,
    context: Pick<ToolContext, "sessionId" | "signal" | "sandbox">,
  ): Promise<CallPreview | null>;

  /**
   * For `effect: "reconcile"`: what became of the operation that an earlier process started. `run` is called again only
   * for "notStarted". A result of "lost" tells the model that the outcome is unknown.
   */
  reconcile?(input: unknown, context: ToolContext): Promise<Reconciled>;
}

export type ParsedInput =
  | { readonly ok: true; readonly input: unknown }
  /** `complaint` is shown to the model: which field, what is wrong. */
  | { readonly ok: false; readonly complaint: string };

export type Reconciled =
  | { readonly type: "finished"; readonly result: ToolResult }
  | { readonly type: "notStarted" }
  /** `why` completes the sentence "it had been started when the runtime was interrupted, and ...". */
  | { readonly type: "lost"; readonly why: string };

/** Docs and limits: docs/tools.md. */
export interface ToolResult {
  /** What the model sees; a string is one text block. Absent or empty: it sees `structured`, as JSON. */
  readonly content?: string | readonly ResultBlock[];
  /** The result as plain JSON, for programs that read the log. */
  readonly structured?: unknown;
  readonly isError?: boolean;
  /** The time limit ended it. */
  readonly timedOut?: boolean;
  /** For programs and people, not for the model. Plain JSON. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface ToolContext {
  readonly sessionId: string;
  readonly runId: string;
  readonly callId: string;
  /** The same over every attempt of this call: use it as idempotency key. */
  readonly operationId: string;
  /** 1, and one more for each time that a crash made it necessary to start again. */
  readonly attempt: number;
  /**
   * Aborted on stop, on time-out (of the call, or of the whole run: then the reason is AppError `timeout`), and when the
   * node loses the session. In the last case the reason is AppError `fenced`:
   * what can be found again (a `reconcile` tool's work) is to be left alone then, for the session's next owner.
   */
  readonly signal: AbortSignal;
  /** The session's sandbox, started at the first use. */
  sandbox(): Promise<Sandbox>;
  /** Shows output to watchers while the call runs; not stored. */
  emit(output: ToolOutput): void;
  /**
   * Asks a person. While nobody has answered nothing runs and nothing is held: the call ends here (its signal is aborted, `ask`
   * rejects), and is started anew from its beginning when there is an answer, with the same operation id and `attempt` one more. Then
   * `ask` resolves at once. So ask before doing anything that must not be done twice, and ask the same questions in the same order.
   */
  ask(question: Question): Promise<Answer>;
}

export interface Question {
  /** For people: what is to be decided, and what they need to know for it. */
  readonly message: string;
  /** JSON Schema of the value that is asked for. Default: any text. */
  readonly schema?: JsonSchema;
  /** Where they have to go, to log in for example; then `value` is what they say when they are back. */
  readonly url?: string;
}

export type Answer =
  | { readonly type: "answered"; readonly value: unknown; readonly actor: string | null }
  | { readonly type: "rejected"; readonly feedback: string | null; readonly actor: string | null }
  /** Nobody has answered in time, or nobody is asked (mode `dontAsk`). */
  | { readonly type: "expired" };

export type ToolOutput =
  | { readonly type: "output"; readonly stream: "stdout" | "stderr"; readonly text: string }
  | { readonly type: "progress"; readonly message: string; readonly fraction?: number };

export interface ToolDefinition<Schema extends z.ZodType> {
  readonly name: string;
  readonly description: string;
  readonly input: Schema;
  /** Of `structured` in its results. */
  readonly output?: z.ZodType;
  /** Default "once". */
  readonly effect?: Effect;
  /** Default false. */
  readonly parallel?: boolean;
  readonly timeoutMs?: number;
  readonly risk?: DeclaredRisk | ((input: z.output<Schema>) => DeclaredRisk);
  readonly preview?: (
    input: z.output<Schema>,
    context: Pick<ToolContext, "sessionId" | "signal" | "sandbox">,
  ) => Promise<CallPreview | null>;
  readonly run: (
    input: z.output<Schema>,
    context: ToolContext,
  ) => Promise<ToolResult | string> | ToolResult | string;
  readonly reconcile?: (input: z.output<Schema>, context: ToolContext) => Promise<Reconciled>;
}
