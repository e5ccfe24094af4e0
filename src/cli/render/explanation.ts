import type { CallExplanation, LayerSaying } from "../../run/session/explain-call.ts";
import type { CallEvent, PastCall } from "../../run/session/past-call.ts";
import type { Style } from "../terminal.ts";
import { callLine, outcomeLine, permissionIn } from "./call-line.ts";
import { permissionWords, riskWords } from "./permission-words.ts";
import { cut, oneLine, plain } from "./plain.ts";
import { answeredWords } from "./question.ts";

type Styler = (style: Style, text: string) => string;

/** Why a call is decided as it is: what would become of it now, each layer, and what really happened. */
export function explanationLines(explanation: CallExplanation, style: Styler): readonly string[] {
  const { tool, input, mode, decision, layers, parts, past, changed } = explanation;
  const row = (name: string, value: string) => `  ${style("dim", name.padEnd(9))} ${value}`;
  const isLine = parts.length > 1 || (parts[0] !== undefined && parts[0].text !== tool);
  return [
    `${style("bold", oneLine(tool))}  ${callLine(tool, input)}`,
    ...(past?.asked === undefined ? [] : [row("asked for", callLine(tool, past.asked))]),
    row("mode", mode),
    ...("risk" in decision ? [row("risk", riskWords(decision.risk))] : []),
    row("now", style(["bold", COLOURS[decision.type]], verdictWords(explanation))),
    ...(decision.type === "invalid" ? moreLines(decision.reason).map((line) => row("", line)) : []),
    ...(isLine
      ? [
          "",
          style("bold", "Commands and redirections"),
          ...parts.map(
            ({ text, allowedBy }) =>
              `  ${allowedBy === null ? style("yellow", "?") : style("green", "✓")} ${cut(oneLine(text), 100)}  ${style("dim", allowedBy === null ? "nothing lets it go by itself" : oneLine(allowedBy))}`,
          ),
        ]
      : []),
    "",
    style("bold", "Layers, in their order"),
    ...layerLines(layers, style),
    ...(past === null ? [] : ["", style("bold", "What happened"), ...pastLines(past, style)]),
    ...(changed === null ? [] : ["", style("yellow", `Since then it has changed: ${changed}.`)]),
  ];
}

const COLOURS = { allow: "green", deny: "red", ask: "yellow", classify: "yellow", invalid: "red" } as const;

function verdictWords({ decision }: CallExplanation): string {
  const { permission, reason } = decision;
  switch (decision.type) {
    case "invalid":
      return `not started: ${linesOf(reason)[0] ?? ""}`;
    case "allow":
      return `allowed by ${permissionWords(permission)}`;
    case "deny":
      return `denied by ${permissionWords(permission)}`;
    case "ask":
      return `a person is asked, because of ${permissionWords(permission)}`;
    case "classify":
      return "the classifier is asked, and a person where it is unsure";
  }
}

/** What does not fit stands behind the first line. */
function moreLines(text: string): readonly string[] {
  return linesOf(text).slice(1);
}

function linesOf(text: string): readonly string[] {
  return plain(text)
    .split("\n")
    .filter((line) => line.trim() !== "");
}

const SAYS = {
  pass: "lets it pass",
  nothing: "says nothing",
  allow: "allows",
  deny: "DENIES",
  ask: "asks",
  classify: "asks the classifier",
  change: "changes the arguments",
  wouldBeAsked: "would be asked",
} as const satisfies Record<LayerSaying["says"], string>;

function layerLines(layers: readonly LayerSaying[], style: Styler): readonly string[] {
  const rows = layers.map(
    ({ layer, by, says, reason }) => [layer, oneLine(by), SAYS[says], linesOf(reason)[0] ?? ""] as const,
  );
  const width = (i: 0 | 1 | 2) => Math.min(50, Math.max(0, ...rows.map((row) => row[i].length)));
  return rows.map(([layer, by, says, reason]) =>
    `  ${layer.padEnd(width(0))}  ${cut(by, 60).padEnd(width(1))}  ${says.padEnd(width(2))}  ${style("dim", reason)}`.trimEnd(),
  );
}

function pastLines({ events }: PastCall, style: Styler): readonly string[] {
  if (events.length === 0) return ["  Nothing yet: it waits for its turn."];
  const isStarted = events.some(({ type }) => type === "toolStarted");
  return events.map(
    (event) => `  ${style("dim", new Date(event.at).toISOString())}  ${eventWords(event, isStarted)}`,
  );
}

function eventWords(event: CallEvent, isStarted: boolean): string {
  switch (event.type) {
    case "hookDecided":
      return `hook ${oneLine(event.hook)}: ${event.decision}${event.reason === undefined ? "" : ` (${oneLine(event.reason)})`}`;
    case "callClassified":
      return `classifier: ${event.decision} (${oneLine(event.reason)})`;
    case "interrupted":
      return `asked: ${oneLine(event.request.message)}`;
    case "interruptVoted":
      return `approved by ${oneLine(event.actor)}, one of several`;
    case "interruptResolved":
      return answeredWords(event.answer, event.actor ?? null, event.waitedMs);
    case "toolStarted":
      return event.permission === undefined
        ? "started"
        : `started, ${event.permission.layer === "person" ? "approved" : "allowed"} by ${permissionWords(event.permission)}`;
    case "toolFinished": {
      const permission = permissionIn(event.details);
      const by = permission === null || isStarted ? "" : ` (${permissionWords(permission)})`;
      return `${event.outcome}: ${outcomeLine(event, isStarted).words}${by}`;
    }
  }
}
