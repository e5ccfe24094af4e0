import { systemClock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Entry } from "../log/entry.ts";
import type { RunEvent } from "../run/session/events.ts";
import type { InterruptRecord } from "../run/session/interrupts.ts";
import { orNothing } from "../run/session/or-nothing.ts";
import { createRunSummary, type RunResult } from "../run/session/run-result.ts";
import type { SendMessage, Sessions } from "../run/session/sessions.ts";
import { isRunEnd, type People, untilAnswered, untilRunEnds } from "../run/session/watch.ts";
import { type ExitCode, exitCodes } from "./exit.ts";
import { nextCommands } from "./interrupts/next-commands.ts";
import type { Notices } from "./notices.ts";
import { ownRunFilter } from "./own-run.ts";
import { jsonText } from "./printable.ts";
import { askAll } from "./questions/ask-all.ts";
import { canAsk } from "./questions/question.ts";
import { closing } from "./render/closing.ts";
import { questionBlock } from "./render/question.ts";
import { createRunView } from "./render/render.ts";
import { openScreen } from "./render/screen.ts";
import { viewOptions } from "./render/view-options.ts";
import { steerByTyping } from "./steer-by-typing.ts";
import { stylerFor, type Terminal } from "./terminal.ts";

export interface RunToWatch {
  readonly sessions: Pick<Sessions, "watch" | "send" | "stop" | "interrupts" | "answer" | "delete">;
  readonly sessionId: string;
  /** Set when the session was made for the message: it is not left behind where that is refused. */
  readonly made: MadeSession | null;
  /** What to send; null to watch the run that is under way. */
  readonly message: SendMessage | null;
  /** Who types while it goes on, for the record. */
  readonly actor: string | undefined;
  /** The mode is switched with it: what is asked is looked at anew. */
  readonly switched: boolean;
  /** What stands in the log of the run that is under way, if there is one. */
  readonly earlier: readonly Entry[];
  /** The last entry that was seen. */
  readonly after: number;
  /** The place of the session's files as a person would write it, or null; asked at the end. */
  readonly workspace: () => Promise<string | null>;
  /** What to type to go on with the session. */
  readonly next: string;
  /** What to type to see it go on when what it waits for is answered. */
  readonly resume: string;
  /** Options that name where the session is. */
  readonly place: readonly string[];
}

export interface MadeSession {
  /** What to tell when the message was accepted. */
  readonly notice: string | null;
}

export interface WatchOptions {
  readonly json: boolean;
  readonly notices: Notices;
  readonly terminal: Terminal;
}

/** Sends a message and shows the run that answers to its end. Ctrl-C stops the run. The exit code tells how it ended. */
export async function watchRun(run: RunToWatch, options: WatchOptions): Promise<ExitCode> {
  const interruption = options.terminal.interruption();
  if (interruption.aborted) return exitCodes.interrupted;
  const leaving = new AbortController();
  try {
    const result = await follow(run, options, { interruption, leaving });
    if (result === null) return exitCodes.interrupted;
    if (!options.json) await printClosing(result, run, options.terminal);
    return exitCodeOf(result, interruption.aborted);
  } finally {
    leaving.abort();
  }
}

/** Null when the reading was given up before the run had ended. */
async function follow(
  run: RunToWatch,
  { json, notices, terminal }: WatchOptions,
  { interruption, leaving }: { readonly interruption: AbortSignal; readonly leaving: AbortController },
): Promise<RunResult | null> {
  const { sessions, sessionId, message, actor, earlier, after } = run;
  // Reading begins before the message is sent, so that nothing of the answer is missed.
  const events = sessions.watch(sessionId, { after, signal: leaving.signal });
  const messageId = message === null ? null : await send(run, message, notices);
  const summary = createRunSummary();
  for (const entry of earlier) summary.add({ type: "entry", entry });

  using shown = json ? showJson(terminal) : showText(earlier, { ...run, messageId, notices, terminal });
  const steer = async (line: string) => {
    const blocks = [{ type: "text", text: line }] as const;
    const by = actor === undefined ? {} : { actor };
    return (await sessions.send(sessionId, { blocks, delivery: "steer", ...by })).messageId;
  };
  using lines = canAsk(terminal, json)
    ? steerByTyping({ send: steer, typing: shown.typing, notices, terminal })
    : null;
  const stopping = stopWhenInterrupted(() => sessions.stop(sessionId, "Ctrl-C"), interruption, notices);
  stopping.failed.then(() => leaving.abort());
  terminal.whenNobodyReads?.(async () => {
    notices.tell(`nobody reads the output any more; the session ${sessionId} is left as it is`);
  });
  const people: People = {
    openInterrupts: openInterruptsOf(run),
    ...(lines === null
      ? {}
      : {
          ask: lines.besides(() =>
            askAll({ sessions, sessionId, actor, after: reader.seen, shown, left }, terminal),
          ),
        }),
  };
  const left = new Set<string>();
  const isFollowUp = message?.delivery === "followUp";
  if (isFollowUp && earlier.length > 0) notices.tell("waiting until the run that goes on has ended");
  const belongs = ownRunFilter(messageId, { isFollowUp, isRunOpen: earlier.length > 0 });
  const reader = createReader(after, (event) => {
    summary.add(event);
    if (belongs(event)) shown.add(event);
    else shown.skip(event);
  });
  await reader.read(
    messageId === null ? untilRunEnds(events, people) : untilAnswered(events, messageId, people),
  );
  // A line that came too late for the run begins one of its own.
  for (let line = await lines?.last(); line != null && !leaving.signal.aborted; line = await lines?.last()) {
    const again = sessions.watch(sessionId, { after, signal: leaving.signal });
    await reader.read(untilAnswered(again, line, people));
  }
  stopping.release();
  return reader.atEnd() ? summary.result() : null;
}

/** The message's id. @throws AppError when it is refused */
async function send(
  { sessions, sessionId, made }: RunToWatch,
  message: SendMessage,
  notices: Notices,
): Promise<string> {
  const sending = sessions.send(sessionId, message);
  const { messageId } = await (made === null ? sending : orNothing(sending, sessionId, sessions));
  if (made !== null && made.notice !== null) notices.tell(made.notice);
  return messageId;
}

/** Of a session whose mode was just switched, the questions about calls do not count until the run has come to rest again. */
function openInterruptsOf({ sessions, sessionId, switched }: RunToWatch): People["openInterrupts"] {
  let isNew = switched;
  return async () => {
    const open = await sessions.interrupts({ sessionId, status: "open" });
    const isLookedAtAnew = isNew && open.every(({ request }) => "call" in request);
    isNew = false;
    return isLookedAtAnew ? [] : open;
  };
}

/** Passes on what was not seen before, over several readings of one log. */
function createReader(after: number, add: (event: RunEvent) => void) {
  let seen = after;
  let isAtEnd = false;
  return {
    async read(events: AsyncIterable<RunEvent>): Promise<void> {
      for await (const event of events) {
        if (event.type === "entry") {
          if (event.entry.seq <= seen) continue;
          seen = event.entry.seq;
        }
        add(event);
        isAtEnd = isEnd(event);
      }
    },
    seen: () => seen,
    /** Whether the last event was the end of a run, or of what can be seen of it now. */
    atEnd: () => isAtEnd,
  };
}

function isEnd(event: RunEvent): boolean {
  return event.type === "waiting" || (event.type === "entry" && isRunEnd(event.entry));
}

interface Shown extends Disposable {
  add(event: RunEvent): void;
  /** Takes note of what is not to be shown. */
  skip(event: RunEvent): void;
  /** Shows what is asked, unless that was shown before. */
  question(interrupt: InterruptRecord): void;
  /** Shows the line that a person types. */
  typing(line: string): void;
}

function showJson({ stdout }: Terminal): Shown {
  return {
    add: (event) => stdout.write(`${jsonText(event)}\n`),
    skip() {},
    question() {},
    typing() {},
    [Symbol.dispose]() {},
  };
}

interface Watching extends Pick<WatchOptions, "notices" | "terminal">, Pick<RunToWatch, "actor" | "place"> {
  readonly messageId: string | null;
}

function showText(
  earlier: readonly Entry[],
  { messageId, actor, place, notices, terminal }: Watching,
): Shown {
  const view = createRunView({
    ...viewOptions(terminal),
    place,
    ...(messageId === null ? {} : { hideMessage: messageId }),
    ...(actor === undefined ? {} : { viewer: actor }),
  });
  for (const entry of earlier) view.skip(entry);
  const screen = openScreen(terminal, view.activity);
  const routed = notices.through(screen.note);
  const told = new Set<string>();
  const question = ({ id, request }: InterruptRecord) => {
    if (told.has(id)) return;
    told.add(id);
    screen.print(questionBlock(request, { ...viewOptions(terminal), place, now: systemClock.now() }));
    if (messageId !== null) screen.print("Your message is kept: the run sees it when it goes on.\n");
  };
  return {
    add(event) {
      if (event.type === "entry" && event.entry.type === "interrupted") told.add(event.entry.interruptId);
      if (event.type === "waiting") question(event.interrupt);
      else screen.print(view.add(event));
    },
    skip(event) {
      if (event.type === "entry") view.skip(event.entry);
    },
    question,
    typing: screen.typing,
    [Symbol.dispose]() {
      screen.print(view.close());
      routed[Symbol.dispose]();
      screen[Symbol.dispose]();
    },
  };
}

/** The first Ctrl-C ends the run, durably and with all that it started; a second one ends this process (`main.ts`). */
function stopWhenInterrupted(
  stop: () => Promise<unknown>,
  interruption: AbortSignal,
  notices: Notices,
): { readonly failed: Promise<void>; release(): void } {
  const { promise: failed, resolve } = Promise.withResolvers<void>();
  const onInterrupt = () => {
    notices.tell("stopping the run; Ctrl-C again leaves at once");
    stop().catch((error: unknown) => {
      notices.tell(`the run could not be stopped: ${errorMessage(error)}`);
      resolve();
    });
  };
  if (interruption.aborted) onInterrupt();
  else interruption.addEventListener("abort", onInterrupt, { once: true });
  return { failed, release: () => interruption.removeEventListener("abort", onInterrupt) };
}

async function printClosing(
  result: RunResult,
  { sessions, sessionId, workspace, next, resume, place }: RunToWatch,
  { stdout, env }: Terminal,
): Promise<void> {
  const open = result.interrupt === null ? [] : await sessions.interrupts({ sessionId, status: "open" });
  stdout.write(
    closing({
      result,
      workspace: await workspace(),
      next: result.interrupt === null ? [next] : [...nextCommands(open, place), resume],
      style: stylerFor(stdout, env),
      place,
    }),
  );
}

function exitCodeOf({ reason }: RunResult, interrupted: boolean): ExitCode {
  switch (reason) {
    case "endTurn":
      return exitCodes.ok;
    case "stopped":
      return interrupted ? exitCodes.interrupted : exitCodes.stopped;
    case "turnLimit":
    case "timeLimit":
    case "maxTokens":
    case "budget":
    case "hook":
    case "abandoned":
      return exitCodes.limited;
    case "waiting":
      return exitCodes.waiting;
    case "failed":
    case "refused":
      return exitCodes.failed;
  }
}
