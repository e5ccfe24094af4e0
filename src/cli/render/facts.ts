import type {
  CallClassified,
  Compacted,
  CompactionFailed,
  ContextAdded,
  ContextOpened,
  HeadMoved,
  HookDecided,
  InterruptKind,
  InterruptResolved,
  InterruptVoted,
  ModeChanged,
  ModelFailure,
  ResultsCleared,
  RuleAdded,
  UserMessage,
  WorkspaceSaved,
} from "../../log/entry.ts";
import { count, dollars, plural } from "./figures.ts";
import { cut, oneLine } from "./plain.ts";
import { answeredWords } from "./question.ts";

/** What the log says besides messages and calls, in a line for people; null where they need not hear of it. */
export interface FactLine {
  readonly colour: "grey" | "yellow";
  readonly text: string;
}

export function clearedLine({ results, tokensBefore, tokensAfter }: ResultsCleared): FactLine {
  const what = `${plural(results.length, "old result")} put aside`;
  return grey(`⌁ ${what} to make room: ${change(tokensBefore, tokensAfter)}`);
}

export function compactedLine(entry: Compacted): FactLine {
  const { tier, tokensBefore, tokensAfter, costUsd } = entry;
  const size = change(tokensBefore, tokensAfter);
  switch (tier) {
    case "summary": {
      const cost = costUsd === 0 ? "" : `, ${dollars(costUsd)}`;
      return grey(`⌁ older messages summarised to make room: ${size}${cost}`);
    }
    case "emergency":
      return yellow(`⌁ the oldest messages left out to make room: ${size}`);
    case "repair":
      return yellow("⌁ the transcript repaired");
  }
}

const tierWords: Readonly<Record<CompactionFailed["tier"], string>> = {
  results: "putting old results aside",
  summary: "summarising older messages",
  emergency: "leaving out the oldest messages",
};

export function compactionFailedLine({ tier, reason }: CompactionFailed): FactLine {
  return yellow(`⌁ ${tierWords[tier]} did not help: ${oneLine(reason)}`);
}

/** `what` is what the model is said to have done wrong, as of any other request. */
export function summaryFailedLine(what: string): FactLine {
  return yellow(`⌁ no summary: ${what}`);
}

/** Only where the agent has changed under the session: the rest follows from what stands around it. */
export function contextLine({ cause }: ContextOpened): FactLine | null {
  if (cause === "promptChanged") return grey("⌁ the agent's prompt is another one from here on");
  if (cause === "toolsChanged") return grey("⌁ the agent's tools are others from here on");
  return null;
}

export function contextAddedLine({ source, text }: ContextAdded): FactLine {
  return grey(`+ ${oneLine(source)} tells the model: ${oneLine(text)}`);
}

/** Null for a hook that let things pass without a word. */
export function hookLine(entry: HookDecided): FactLine | null {
  const { hook, point, decision, blocks, reason, input, context } = entry;
  const name = `hook ${oneLine(hook)}`;
  const why = reason === undefined ? "" : `: ${oneLine(reason)}`;
  switch (decision) {
    case "end":
      return yellow(`⊘ ${name} ends the run${why}`);
    case "veto":
      return point === "runEnd"
        ? yellow(`⊘ ${name} lets the run go on${why}`)
        : yellow(`⊘ ${name} says no${why}`);
    case "failed":
    case "timedOut": {
      const what = decision === "failed" ? "failed" : "did not answer in time";
      return blocks
        ? yellow(`⊘ ${name} ${what}, ${consequence(point)}${why}`)
        : grey(`+ ${name} ${what}, and is passed over${why}`);
    }
    case "change":
      return grey(
        `+ ${name} changes the arguments of a call to ${cut(oneLine(JSON.stringify(input)), 120)}${why}`,
      );
    case "ask":
      return grey(`+ ${name} wants a person to decide${why}`);
    case "allow":
      return context === undefined ? null : grey(`+ ${name} tells the model: ${oneLine(context)}`);
  }
}

/** What it means that a hook that counts did not answer. At two points there is nothing left to be forbidden. */
function consequence(point: HookDecided["point"]): string {
  if (point === "runEnd") return "and the run ends all the same";
  return point === "afterTool" ? "and the call has been made all the same" : "which counts as no";
}

/** `what` it was that was asked, where that does not stand right above. */
export function answeredLine(
  { answer, actor, waitedMs }: InterruptResolved,
  what: string | undefined,
  kind?: InterruptKind,
): FactLine {
  const about = what === undefined ? "" : ` (${what})`;
  return yellow(`▸ ${answeredWords(answer, actor ?? null, waitedMs, kind)}${about}`);
}

export function votedLine({ actor }: InterruptVoted): FactLine {
  return yellow(`▸ approved by ${oneLine(actor)}; others have to, too`);
}

export function classifiedLine({ decision, reason }: CallClassified): FactLine {
  switch (decision) {
    case "allow":
      return grey(`+ classifier: allowed (${oneLine(reason)})`);
    case "ask":
      return grey(`+ classifier: unsure (${oneLine(reason)})`);
    case "deny":
      return yellow(`⊘ classifier says no: ${oneLine(reason)}`);
  }
}

export function modeLine({ mode, actor }: ModeChanged): FactLine {
  return yellow(`▸ mode ${mode} from here on${byWhom(actor)}`);
}

export function ruleLine({ scope, list, rule, actor }: RuleAdded): FactLine {
  const where = scope === "session" ? "in this session" : "in all sessions of the agent";
  return yellow(`▸ new rule ${where}: ${list} ${oneLine(rule)}${byWhom(actor)}`);
}

/** Null where everything was kept. */
export function savedLine({ skipped }: WorkspaceSaved): FactLine | null {
  const [first] = skipped;
  if (first === undefined) return null;
  const others = skipped.length === 1 ? "" : ` and ${skipped.length - 1} more`;
  return grey(`⌁ not in the snapshot: ${oneLine(first.path)} (${oneLine(first.why)})${others}`);
}

const FILES = {
  snapshot: "files as they were then",
  template: "files as a new session has them",
  now: "files as they are",
} as const;

/** `to` and `end` name the entry that it stands behind again, and the last one of what it left: "#5". */
export function movedLine(
  { files, actor }: HeadMoved,
  { to, end }: { readonly to: string; readonly end: string },
): FactLine {
  const what = files === undefined ? "" : `, ${FILES[files.from]}`;
  const left = files !== undefined && files.skipped > 0 ? `, without ${plural(files.skipped, "file")}` : "";
  return yellow(`↶ left at ${oneLine(end)}, and back behind ${oneLine(to)}${what}${left}${byWhom(actor)}`);
}

function byWhom(actor: string | undefined): string {
  return actor === undefined ? "" : `, by ${oneLine(actor)}`;
}

/** Who sent a message, unless it was the viewer, and what becomes of it; empty for an ordinary one. */
export function messageNote(
  { actor, delivery }: Pick<UserMessage, "actor" | "delivery">,
  viewer: string | undefined,
): string {
  const who = actor === undefined || actor === viewer ? [] : [oneLine(actor)];
  const how = delivery === "followUp" ? ["answered by a run of its own"] : [];
  return [...who, ...how].join(", ");
}

export const failureWords: Readonly<Record<ModelFailure["kind"], string>> = {
  rateLimited: "too many requests",
  overloaded: "overloaded",
  network: "connection lost",
  timeout: "no answer in time",
  contextOverflow: "the request is too long",
  refused: "refused",
  badRequest: "request rejected",
  authentication: "key not accepted",
  quota: "no quota left",
  unknown: "failed",
};

function change(before: number, after: number): string {
  return `${count(before)} → ${count(after)} tokens`;
}

function grey(text: string): FactLine {
  return { colour: "grey", text };
}

function yellow(text: string): FactLine {
  return { colour: "yellow", text };
}
