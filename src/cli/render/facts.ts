import type {
  Compacted,
  CompactionFailed,
  ContextAdded,
  ContextOpened,
  HookDecided,
  InterruptResolved,
  ModelFailure,
  ResultsCleared,
  UserMessage,
} from "../../log/entry.ts";
import { count, dollars, plural } from "./figures.ts";
import { cut, oneLine } from "./plain.ts";

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
    case "allow":
      return context === undefined ? null : grey(`+ ${name} tells the model: ${oneLine(context)}`);
  }
}

/** What it means that a hook that counts did not answer. At two points there is nothing left to be forbidden. */
function consequence(point: HookDecided["point"]): string {
  if (point === "runEnd") return "and the run ends all the same";
  return point === "afterTool" ? "and the call has been made all the same" : "which counts as no";
}

export function answeredLine({ answer, actor }: InterruptResolved): FactLine {
  const by = actor === undefined ? "" : ` by ${oneLine(actor)}`;
  switch (answer.action) {
    case "raise":
      return yellow(`▸ raised to ${dollars(answer.limitUsd)}${by}`);
    case "end":
      return yellow(`▸ ended${by}`);
  }
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
