import type {
  Entry,
  HookDecided,
  Interrupted,
  InterruptRequest,
  InterruptResolved,
  ModelFailed,
  UserMessage,
} from "../../log/entry.ts";
import { retryDelay } from "../../run/after-failure.ts";
import type { RunEvent } from "../../run/session/events.ts";
import { answerView } from "./answer.ts";
import { callsView } from "./calls.ts";
import {
  answeredLine,
  classifiedLine,
  clearedLine,
  compactedLine,
  compactionFailedLine,
  contextAddedLine,
  contextLine,
  type FactLine,
  failureWords,
  hookLine,
  messageNote,
  modeLine,
  movedLine,
  ruleLine,
  savedLine,
  summaryFailedLine,
  votedLine,
} from "./facts.ts";
import { count, duration } from "./figures.ts";
import type { ViewOptions } from "./options.ts";
import { cut, oneLine, plain } from "./plain.ts";
import { questionBlock, questionWords } from "./question.ts";

/** Turns the events of a session into text for a person. A state machine: the same events give the same text. */
export interface RunView {
  /** What to print for an event; often nothing. Ends with a line break, except within an answer that is being written. */
  add(event: RunEvent): string;
  /** Takes note of an entry that was shown before, or elsewhere, without telling of it again. */
  skip(entry: Entry): void;
  /** What goes on now, in a few words, for a line that is rewritten; null while nothing does or while text streams. */
  activity(): string | null;
  /** Ends a line that is open. */
  close(): string;
}

export function createRunView(options: ViewOptions): RunView {
  const { style } = options;
  const answer = answerView(style);
  let calls = callsView(options);
  let failures = 0;
  let isPartKnown = false;
  let activity: string | null = null;
  /** What was asked and has no answer, by the id of the question. */
  const questions = new Map<string, InterruptRequest>();
  let hasSeveral = false;
  /** Characters of the arguments that the model is writing. */
  let argumentSize = 0;
  let calledTool = "";
  let lastAt: number | null = null;
  /** The numbers of the entries that were seen, by their ids. */
  const numbers = new Map<string, number>();

  function add(event: RunEvent): string {
    switch (event.type) {
      case "entry":
        return addEntry(event.entry);
      case "textDelta":
        activity = null;
        return answer.delta(event.text);
      case "reasoningDelta":
        activity = "thinking";
        return answer.close();
      case "toolCallStarted":
        calledTool = oneLine(event.name);
        argumentSize = 0;
        activity = `preparing ${calledTool}`;
        return answer.close();
      case "toolCallDelta":
        argumentSize += event.text.length;
        activity = `preparing ${calledTool}${argumentSize < 500 ? "" : ` (${count(argumentSize)} characters)`}`;
        return "";
      case "toolOutput":
        return calls.output(event.callId, event.stream, event.text);
      case "toolProgress":
        calls.progress(event.callId, event.message, event.fraction);
        return "";
      case "notice":
        return line("yellow", `! ${oneLine(event.message)}`);
      case "waiting":
        return "";
      case "retracted":
        return isPartKnown ? answer.close() : answer.retracted();
    }
  }

  function addEntry(entry: Entry): string {
    const away = lastAt === null ? 0 : entry.at - lastAt;
    lastAt = entry.at;
    numbers.set(entry.id, entry.seq);
    switch (entry.type) {
      case "sessionCreated":
      case "runStarted":
        activity = "starting";
        return "";
      case "userMessage":
        return entry.inboxId === options.hideMessage ? "" : message(entry);
      case "runResumed":
        return line("yellow", `⟳ resumed after an interruption (${duration(away)} without a process)`);
      case "modelCalled":
        activity = `${PURPOSES[entry.purpose ?? "turn"]} ${oneLine(entry.model)}${entry.attempt > 1 ? ` (try ${entry.attempt})` : ""}`;
        return "";
      case "modelFailed":
        if (entry.purpose === "summary") return fact(summaryFailedLine(whatFailed(entry)));
        // The decision that follows says what came of it.
        if (entry.purpose === "classification") return "";
        failures += 1;
        return failed(entry);
      case "assistantMessage": {
        failures = 0;
        isPartKnown = false;
        activity = null;
        calls.asked(entry.blocks.filter((block) => block.type === "toolCall"));
        const text = answer.finished(entry);
        return entry.brokeOff ? `${text}${line("yellow", "… the answer broke off there")}` : text;
      }
      case "answerPart":
        isPartKnown = true;
        calls.asked(entry.blocks.filter((block) => block.type === "toolCall"));
        return answer.reached(entry.blocks);
      case "toolStarted":
        answer.setApart();
        return answer.close() + calls.started(entry.callId, entry.name);
      case "toolFinished":
        answer.setApart();
        return answer.close() + calls.finished(entry);
      case "stopRequested":
        activity = "stopping";
        return line("yellow", `⊘ stopping${entry.reason === undefined ? "" : ` (${oneLine(entry.reason)})`}`);
      case "modelSwitched":
        failures = 0;
        return line("yellow", `⇢ going on with ${oneLine(entry.to)} instead of ${oneLine(entry.from)}`);
      case "resultsCleared":
        return fact(clearedLine(entry));
      case "compacted":
        return fact(compactedLine(entry));
      case "compactionFailed":
        return fact(compactionFailedLine(entry));
      case "hookDecided":
        return hookDecided(entry);
      case "interrupted":
        activity = null;
        answer.setApart();
        return question(entry);
      case "interruptVoted":
        return fact(votedLine(entry));
      case "runPaused":
        activity = null;
        return "";
      case "interruptResolved":
        activity = null;
        return answered(entry);
      case "callClassified":
        return fact(classifiedLine(entry));
      case "modeChanged":
        return fact(modeLine(entry));
      case "ruleAdded":
        return fact(ruleLine(entry));
      case "workspaceSaved":
        return fact(savedLine(entry));
      case "headMoved":
        activity = null;
        calls = callsView(options);
        return fact(movedLine(entry, { to: placeOf(entry.parentId ?? ""), end: placeOf(entry.from) }));
      case "contextOpened":
        return fact(contextLine(entry));
      case "contextAdded":
        return fact(contextAddedLine(entry));
      case "runFinished":
      case "runFailed":
        activity = null;
        calls = callsView(options);
        questions.clear();
        return answer.close();
    }
  }

  function question({ interruptId, request, at }: Entry & Interrupted): string {
    questions.set(interruptId, request);
    hasSeveral ||= questions.size > 1;
    const block = `${answer.close()}${questionBlock(request, { ...options, now: at })}`;
    return "call" in request ? block + calls.waits(request.call.callId) : block;
  }

  /** One that was not seen is named by its id. */
  function placeOf(entryId: string): string {
    const number = numbers.get(entryId);
    return number === undefined ? entryId : `#${number}`;
  }

  function hookDecided(entry: HookDecided): string {
    const { decision, subject, input, hook } = entry;
    if (decision === "change") calls.changed(subject, input, `changed by hook ${oneLine(hook)}`);
    return fact(hookLine(entry));
  }

  /** Among several it has to be said which one. */
  function answered(entry: Entry & InterruptResolved): string {
    const request = questions.get(entry.interruptId);
    questions.delete(entry.interruptId);
    const { answer: given, actor } = entry;
    if (given.action === "edit" && request !== undefined && "call" in request) {
      const by = actor === undefined ? "changed" : `changed by ${oneLine(actor)}`;
      calls.changed(request.call.callId, given.input, by);
    }
    const what = hasSeveral && request !== undefined ? questionWords(request) : undefined;
    if (questions.size === 0) hasSeveral = false;
    return fact(answeredLine(entry, what, request?.kind));
  }

  function line(colour: "grey" | "yellow" | "red", text: string): string {
    return `${answer.close()}${style(colour, text)}\n`;
  }

  function fact(told: FactLine | null): string {
    return told === null ? "" : line(told.colour, cut(told.text, Math.max(40, options.width)));
  }

  function message({ blocks, ...about }: UserMessage): string {
    const text = blocks
      .map((block) => plain(block.type === "text" ? block.text : `[${block.mediaType}]`))
      .join("\n");
    const lines = text.trim().split("\n");
    const said = lines.map((each) => `${style(["bold", "blue"], "›")} ${style("bold", each)}\n`).join("");
    const note = messageNote(about, options.viewer);
    return `${answer.close()}\n${said}${note === "" ? "" : `  ${style("dim", note)}\n`}\n`;
  }

  function failed(entry: ModelFailed): string {
    const { failure } = entry;
    const what = whatFailed(entry);
    // Calls of it have been started, so that it is not asked for again.
    if (isPartKnown) return line("yellow", `↻ ${what}, going on with what was complete`);
    const delay = retryDelay(failures, failure);
    if (delay === null) return line("red", `✗ ${what}`);
    activity = "waiting before the next try";
    return line("yellow", `↻ ${what}, trying again in ${duration(delay.atMostMs)} at the latest`);
  }

  return {
    add,
    skip(entry) {
      addEntry(entry);
      answer.close();
      calls.tellAgain();
    },
    activity: () => (answer.isLineOpen() ? null : (calls.activity() ?? activity)),
    close: () => answer.close(),
  };
}

/** What a request is for; the model's name follows. */
const PURPOSES = {
  turn: "waiting for",
  summary: "summarising older messages with",
  classification: "checking a call with",
};

function whatFailed({ failure, model }: ModelFailed): string {
  const status = failure.status === undefined ? "" : ` (HTTP ${failure.status})`;
  return `${oneLine(model)}: ${failureWords[failure.kind]}${status}`;
}
