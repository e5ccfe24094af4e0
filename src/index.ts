/**
 * Holdfast for programs.
 *
 * ```ts
 * await using runtime = await openRuntime({ agents: ["./my-agent"] });
 * const session = await runtime.session();
 * for await (const event of await session.send("Hello")) console.log(event);
 * ```
 */
export type { AgentDefinition } from "./agents/define.ts";
export type { ContextView } from "./context/view.ts";
export { defineHook, type HookDefinition } from "./hooks/define.ts";
export type { Hook, HookAnswer, HookQuestion } from "./hooks/hook.ts";
export type { ErrorCode } from "./lib/errors.ts";
export { AppError, isAppError } from "./lib/errors.ts";
export type {
  AssistantBlock,
  ImageBlock,
  Message,
  ReasoningBlock,
  ResultBlock,
  TextBlock,
  ToolCallBlock,
  Usage,
  UserBlock,
} from "./log/content.ts";
export type * from "./log/entry.ts";
export { fold } from "./log/fold.ts";
export type { ImportedSession, SessionImport } from "./log/session-import.ts";
export type {
  SessionFilter,
  SessionLog,
  SessionPosition,
  SessionRecord,
  SessionStatus,
} from "./log/session-log.ts";
export type { SessionState } from "./log/state.ts";
export type {
  Model,
  ModelAnswer,
  ModelEvent,
  ModelRequest,
  ModelResolver,
  ToolSpec,
} from "./models/model.ts";
export type { InterruptView } from "./run/session/answer-schema.ts";
export type { CostQuery, CostReport, CostRow, Costs } from "./run/session/costs.ts";
export type { RunEvent } from "./run/session/events.ts";
export type { InterruptFilter, InterruptRecord, InterruptStatus, Vote } from "./run/session/interrupts.ts";
export type { RunResult, RunTiming } from "./run/session/run-result.ts";
export { collectRun } from "./run/session/run-result.ts";
export type {
  AnsweredInterrupt,
  AnswerOptions,
  CreateSession,
  DirectCommand,
  SendMessage,
  SessionPermissions,
  Sessions,
} from "./run/session/sessions.ts";
export type {
  ExportedSession,
  ExportOptions,
  ImportOptions,
  ImportResult,
  Transfer,
} from "./run/session/transfer.ts";
export type {
  Comparison,
  EntryRef,
  Forked,
  ForkRequest,
  RewindRequest,
  Rewound,
  SessionTree,
} from "./run/time-travel/time-travel.ts";
export type { Notice, Notices } from "./run/worker/notices.ts";
export type { Command, InboxItem, RunQueue } from "./run/worker/queue.ts";
export type { Runtime, RuntimeOptions, SessionOptions } from "./runtime.ts";
export { openRuntime } from "./runtime.ts";
export type { Sandbox, SandboxDriver } from "./sandboxes/sandbox.ts";
export type { Run, SendOptions, Session } from "./session.ts";
export type { SqliteStoreOptions } from "./stores/sqlite/sqlite.ts";
export { openSqliteStore } from "./stores/sqlite/sqlite.ts";
export type { Store } from "./stores/store.ts";
export { askUser } from "./tools/builtin/ask.ts";
export { defineTool } from "./tools/define.ts";
export type { Answer, Question, Tool, ToolContext, ToolDefinition, ToolResult } from "./tools/tool.ts";
