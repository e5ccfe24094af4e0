import type { Entry } from "../../log/entry.ts";
import type { InterruptRecord } from "./interrupts.ts";

/**
 * What a watcher sees: durable entries, each exactly once and in order, and between them ephemeral deltas of what is under
 * way. Deltas are a courtesy: a reader that missed them loses nothing, since the entry that follows holds the whole. Every
 * protocol is an encoder of this one stream.
 */
export type RunEvent =
  | { readonly type: "entry"; readonly entry: Entry }
  | { readonly type: "textDelta"; readonly runId: string; readonly text: string }
  | { readonly type: "reasoningDelta"; readonly runId: string; readonly text: string }
  | {
      readonly type: "toolCallStarted";
      readonly runId: string;
      readonly callId: string;
      readonly name: string;
    }
  /** A piece of the arguments' JSON text, while the model writes it. */
  | { readonly type: "toolCallDelta"; readonly runId: string; readonly callId: string; readonly text: string }
  | {
      readonly type: "toolOutput";
      readonly runId: string;
      readonly callId: string;
      readonly stream: "stdout" | "stderr";
      readonly text: string;
    }
  | {
      readonly type: "toolProgress";
      readonly runId: string;
      readonly callId: string;
      readonly message: string;
      readonly fraction?: number;
    }
  /** Something that a person who waits should know, and that needs no entry: the run goes on by itself when it can. */
  | { readonly type: "notice"; readonly code: string; readonly message: string }
  /**
   * The answer that was being streamed broke off: forget its text and calls. It is asked for again; where a part of it was
   * recorded because calls had started (`answerPart`), that part follows as an `assistantMessage` instead.
   */
  | { readonly type: "retracted"; readonly runId: string }
  /** The last event for a reader who waits for an answer (`watchRun`): it does not come before a person has decided something. */
  | { readonly type: "waiting"; readonly interrupt: InterruptRecord };

/** What comes up while a run works. */
export type Delta = Exclude<RunEvent, { readonly type: "entry" | "waiting" }>;
