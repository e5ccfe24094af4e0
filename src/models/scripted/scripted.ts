import { setTimeout as timer } from "node:timers/promises";
import type { Clock } from "../../lib/clock.ts";
import { AppError, errorMessage } from "../../lib/errors.ts";
import type { Message } from "../../log/content.ts";
import type { ModelFailure } from "../../log/entry.ts";
import type { Model, ModelEvent, ModelRequest } from "../model.ts";
import { type Conversation, readConversation, type ScriptedSidecar, textOf } from "./conversation.ts";
import { holds } from "./match.ts";
import { type Pace, playBlocks, writeAnswer, writeBlocks } from "./play.ts";
import { parseScript, type Script, type ScriptTurn } from "./script.ts";

/**
 * A model that plays a script, for tests, demonstrations and measurements. Costs nothing and needs no network.
 *
 * The first turn of the script whose `when` holds and which is not used up answers. How often a turn has answered is read
 * from the request's own messages (their sidecar says which turn wrote them), never remembered: one instance serves any
 * number of sessions, and a new instance in a restarted process goes on where the old one was. Only a turn with `error`
 * leaves nothing in the conversation; how often it was played is counted per session in this instance.
 */
export interface ScriptedModel extends Model {
  /** Every request so far, oldest first. Empty with `record: false`. */
  readonly requests: readonly ModelRequest[];
  /** @throws AppError `conflict` when a request met no turn, or a turn was played less often than its `times`. */
  assertDone(): void;
}

export interface ScriptedModelOptions {
  /** Default "scripted". */
  readonly id?: string;
  /** For `delayMs`. Default: real time, which keeps the process alive as an open socket would. */
  readonly clock?: Pick<Clock, "sleep">;
  /** Keep requests, and complaints for `assertDone`. Default true; false for a process that runs for long. */
  readonly record?: boolean;
}

/** @throws AppError `invalid_config` for a script that is not valid. */
export function createScriptedModel(script: Script, options: ScriptedModelOptions = {}): ScriptedModel {
  const { turns, defaults } = parseScript(script);
  const sleep = options.clock?.sleep ?? ((ms, signal) => timer(ms, undefined, signal ? { signal } : {}));
  const isRecording = options.record !== false;
  const requests: ModelRequest[] = [];
  const unexpected: string[] = [];
  const playedHere = turns.map(() => 0);
  const errorsOf = new Map<string, number>();

  async function* stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent, void> {
    if (isRecording) requests.push(request);
    const conversation = readConversation(request);
    const index = turns.findIndex((turn, i) => isNext(turn, timesPlayed(turn, i), conversation));
    const turn = turns[index];
    if (turn === undefined) {
      const message = describeUnexpected(request, conversation, turns);
      if (isRecording) unexpected.push(message);
      yield { type: "failed", failure: { kind: "badRequest", message } };
      return;
    }
    playedHere[index] = (playedHere[index] ?? 0) + 1;
    if (turn.error !== undefined) errorsOf.set(errorKey(index), timesPlayed(turn, index) + 1);
    try {
      const blocks = writeBlocks(turn, conversation);
      const data: ScriptedSidecar = { played: index, turn: conversation.turn };
      const sidecar = { provider: "scripted", data };
      yield* playBlocks({ blocks, sidecar }, paceOf(turn, defaults), turn.error, sleep, signal);
      if (turn.error !== undefined) {
        yield { type: "failed", failure: failureOf(turn) };
        return;
      }
      const answer = { ...writeAnswer(turn, blocks, request), sidecar };
      yield { type: "finished", answer };
    } catch (error) {
      yield { type: "failed", failure: brokenOff(error, turnName(turn, index), signal) };
    }

    function errorKey(i: number): string {
      return `${i} ${request.sessionId}`;
    }
    function timesPlayed(candidate: ScriptTurn, i: number): number {
      return (candidate.error === undefined ? conversation.played.get(i) : errorsOf.get(errorKey(i))) ?? 0;
    }
  }

  return {
    id: options.id ?? "scripted",
    stream,
    requests,
    assertDone() {
      const missing = turns.flatMap((turn, i) => {
        const played = playedHere[i] ?? 0;
        const times = turn.times ?? 1;
        return times === "any" || played >= times
          ? []
          : [`not played: ${describeTurn(turn, i)} (${played} of ${times})`];
      });
      const complaints = [...unexpected, ...missing];
      if (complaints.length > 0) throw new AppError("conflict", complaints.join("\n"));
    },
  };
}

function isNext(turn: ScriptTurn, played: number, conversation: Conversation): boolean {
  const times = turn.times ?? 1;
  return (times === "any" || played < times) && holds(turn.when ?? {}, conversation);
}

function paceOf(turn: ScriptTurn, defaults: Script["defaults"]): Pace {
  const delay = turn.delayMs ?? defaults?.delayMs ?? 0;
  const { first = 0, between = 0 } = typeof delay === "number" ? { first: delay, between: delay } : delay;
  return {
    chunkSize: turn.chunkSize ?? defaults?.chunkSize ?? 16,
    firstDelayMs: first,
    betweenDelayMs: between,
  };
}

function failureOf(turn: ScriptTurn): ModelFailure {
  const { kind = "unknown", message, status, retryAfterMs } = turn.error ?? {};
  return {
    kind,
    message: message ?? `the script says: ${kind}`,
    ...(status === undefined ? {} : { status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function brokenOff(error: unknown, turn: string, signal: AbortSignal): ModelFailure {
  if (signal.aborted) return { kind: "unknown", message: "the request was aborted" };
  return { kind: "badRequest", message: `scripted model: ${turn}: ${errorMessage(error)}` };
}

function describeUnexpected(
  request: ModelRequest,
  conversation: Conversation,
  turns: readonly ScriptTurn[],
): string {
  const last = request.messages.at(-1);
  const expected = turns.map((turn, i) => {
    const played = conversation.played.get(i) ?? 0;
    return `  ${describeTurn(turn, i)}${played > 0 ? `, answered ${played} of ${turn.times ?? 1}` : ""}`;
  });
  return [
    `scripted model: no turn fits request ${conversation.turn} of session ${request.sessionId}`,
    `(step ${conversation.step}). Its last message: ${last === undefined ? "none" : describeMessage(last)}.`,
    `The turns:\n${expected.join("\n")}`,
  ].join(" ");
}

function describeMessage(message: Message): string {
  switch (message.role) {
    case "user":
      return `user ${quote(textOf(message.blocks))}`;
    case "tool":
      return message.results
        .map((result) => `result of ${result.name} ${quote(textOf(result.blocks))}`)
        .join(", ");
    case "assistant":
      return `assistant ${quote(JSON.stringify(message.blocks))}`;
  }
}

function describeTurn(turn: ScriptTurn, index: number): string {
  return `${turnName(turn, index)} when ${turn.when === undefined ? "anything" : JSON.stringify(turn.when)}`;
}

function turnName(turn: ScriptTurn, index: number): string {
  return `turn ${index + 1}${turn.name === undefined ? "" : ` "${turn.name}"`}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
