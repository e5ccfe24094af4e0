import { formatDollars } from "../../lib/units.ts";
import type {
  AskedCall,
  CallPreview,
  InterruptAnswer,
  InterruptKind,
  InterruptRequest,
  InterruptTerms,
  OnExpire,
} from "../../log/entry.ts";
import { withPlace } from "../place-words.ts";
import { alwaysRules } from "./always-rules.ts";
import { callLine } from "./call-line.ts";
import { duration } from "./figures.ts";
import type { ViewOptions } from "./options.ts";
import { permissionWords, riskWords } from "./permission-words.ts";
import { cut, oneLine, plain } from "./plain.ts";

/** A question to a person, in words: what is asked, why, what it would do, on which terms. */

const INDENT = "  │ ";
/** Lines of a diff or a command; `holdfast interrupts show` prints all of them. */
const PREVIEW_LINES = 40;

export interface QuestionOptions extends Pick<ViewOptions, "style" | "width" | "place"> {
  /** When it is looked at, milliseconds since 1970: "in 3 h". */
  readonly now: number;
  /** Default 40. */
  readonly previewLines?: number;
}

/** Lines that end with a line break each. */
export function questionBlock(request: InterruptRequest, options: QuestionOptions): string {
  const { style, width, place = [] } = options;
  const head = style("yellow", `⏸ ${oneLine(withPlace(request.message, place))}`);
  const room = Math.max(40, width) - INDENT.length;
  const fact = (text: string) => `${style("dim", INDENT)}${cut(text, room)}\n`;
  const preview = "preview" in request && request.preview !== undefined ? request.preview : null;
  return [
    `${head}\n`,
    ...messageRest(request.message).map(fact),
    ...factsOf(request, preview, options.now).map(fact),
    // Whole, since nobody agrees to half a rule.
    ...alwaysRules(request).map((rule) => `${style("dim", INDENT)}"always" writes: allow ${plain(rule)}\n`),
    ...previewLines(preview, options).map((line) => `${style("dim", INDENT)}${line}\n`),
  ].join("");
}

/** What the first line leaves out. */
function messageRest(message: string): readonly string[] {
  const lines = plain(message)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return lines.length > 1 ? lines : [];
}

function factsOf(request: InterruptRequest, preview: CallPreview | null, now: number): readonly string[] {
  if (request.kind === "budget") return termsLines(request, now);
  const { call } = request;
  return [
    // The command stands below, as it would run.
    ...(preview?.type === "command" ? [] : [`${oneLine(call.tool)}  ${callLine(call.tool, call.input)}`]),
    ...(request.kind === "question" ? [] : [`risk: ${riskWords(call.risk)}`]),
    // A rule is named in the message itself.
    ...("permission" in request && !request.message.includes(request.permission.by)
      ? [`asked by ${permissionWords(request.permission)}`]
      : []),
    ...(request.kind === "auth" && request.url !== undefined ? [`go to: ${oneLine(request.url)}`] : []),
    ...termsLines(request, now),
  ];
}

const EXPIRY = {
  deny: "then it is denied",
  approve: "then it goes ahead",
  escalate: "then others are asked",
  askAgain: "then it is asked again",
} as const;

/** Who may answer and until when, as far as anything is said about it. */
export function termsLines(
  terms: InterruptTerms & { readonly kind?: InterruptKind },
  now: number,
): readonly string[] {
  const { approvers, excluded = [], quorum = 1, expiresAt, onExpire = "deny", round = 0 } = terms;
  return [
    ...(approvers === undefined ? [] : [`may be answered by ${approvers.map(oneLine).join(", ")}`]),
    ...(excluded.length === 0 ? [] : [`not by ${excluded.map(oneLine).join(", ")}, who asked for it`]),
    ...(quorum === 1 ? [] : [`${quorum} people have to approve`]),
    ...(expiresAt === undefined
      ? []
      : [`open for ${duration(Math.max(0, expiresAt - now))}, ${expiryWords(terms.kind, onExpire)}`]),
    ...(round === 0 ? [] : [`asked ${round === 1 ? "once" : `${round} times`} before, without an answer`]),
  ];
}

/** Where no call is to be approved, none is denied or goes ahead either. */
function expiryWords(kind: InterruptKind | undefined, onExpire: OnExpire): string {
  if (onExpire === "askAgain" || onExpire === "escalate") return EXPIRY[onExpire];
  if (kind === "question" || kind === "auth") return "then the tool hears that nobody answered";
  return kind === "outcome" ? "then its outcome stays unknown" : EXPIRY[onExpire];
}

function previewLines(
  preview: CallPreview | null,
  { style, width, previewLines: most = PREVIEW_LINES }: QuestionOptions,
): readonly string[] {
  if (preview === null) return [];
  const lines = plain(preview.text).replace(/\n+$/, "").split("\n");
  const room = Math.max(40, width) - INDENT.length;
  const shown = lines.slice(0, most).map((line) => {
    const text = cut(line.replaceAll("\t", "    "), room);
    return preview.type === "diff" ? diffLine(text, style) : text;
  });
  if (preview.type === "command") shown[0] = `$ ${shown[0] ?? ""}`;
  const more = lines.length - shown.length;
  return more > 0 ? [...shown, style("dim", `… ${more} more ${more === 1 ? "line" : "lines"}`)] : shown;
}

function diffLine(line: string, style: ViewOptions["style"]): string {
  if (line.startsWith("+++") || line.startsWith("---")) return style("bold", line);
  if (line.startsWith("@@")) return style("cyan", line);
  if (line.startsWith("+")) return style("green", line);
  return line.startsWith("-") ? style("red", line) : line;
}

/** What is asked, in a few words for a table. */
export function questionWords(request: InterruptRequest): string {
  switch (request.kind) {
    case "approval":
    case "breakpoint":
    case "outcome":
      return callWords(request.call);
    case "question":
    case "auth":
      return oneLine(request.message);
    case "budget": {
      const { scope, spentUsd, limitUsd } = request.budget;
      return `budget of the ${scope}: ${formatDollars(spentUsd)} of ${formatDollars(limitUsd)}`;
    }
  }
}

function callWords({ tool, input }: AskedCall): string {
  return `${oneLine(tool)}  ${callLine(tool, input)}`;
}

export const kindWords: Readonly<Record<InterruptKind, string>> = {
  approval: "approval",
  breakpoint: "breakpoint",
  outcome: "outcome",
  question: "question",
  auth: "auth",
  budget: "budget",
};

/** An answer as what has been done: "approved", "rejected: not on Friday", "raised to $5.00". */
export function answerWords(answer: InterruptAnswer, kind?: InterruptKind): AnswerWords {
  switch (answer.action) {
    case "raise":
      return { done: `raised to ${formatDollars(answer.limitUsd)}`, rest: "" };
    case "end":
      return { done: "ended", rest: "" };
    case "approve":
      return { done: `approved${answer.always === undefined ? "" : ALWAYS[answer.always]}`, rest: "" };
    case "edit":
      return { done: "changed", rest: `: ${oneLine(JSON.stringify(answer.input) ?? "")}` };
    case "reject":
      return {
        done: "rejected",
        rest:
          answer.feedback === undefined || answer.feedback.trim() === ""
            ? ""
            : `: ${oneLine(answer.feedback)}`,
      };
    case "respond":
      return { done: "answered", rest: `: ${oneLine(valueText(answer.value))}` };
    case "done":
      return {
        done: "said to be done",
        rest: answer.note === undefined ? "" : `: ${oneLine(answer.note)}`,
      };
    case "retry":
      return { done: "to be tried again", rest: "" };
    case "skip":
      return { done: "left as it is", rest: "" };
    case "expired":
      return {
        done: `nobody answered in time: ${expiredWords(kind, answer.onExpire)}`,
        rest: "",
        byNobody: true,
      };
    case "abandoned":
      return { done: "nobody answered for so long that the run is given up", rest: "", byNobody: true };
    case "stale":
      return {
        done: "an answer came, but the tool or the rules had changed: looked at anew",
        rest: "",
        byNobody: true,
      };
    case "withdrawn":
      return { done: "nobody has to be asked any more", rest: "", byNobody: true };
  }
}

export interface AnswerWords {
  readonly done: string;
  /** What they said: stands behind who said it. Begins with ": ", or is empty. */
  readonly rest: string;
  /** Time has answered, or the rules. */
  readonly byNobody?: true;
}

const ALWAYS = { session: " for the rest of the session", agent: " for all sessions of the agent" } as const;

const EXPIRED = {
  deny: "denied",
  approve: "approved, as the agent says",
  escalate: "others are asked",
  askAgain: "asked again",
} as const;

function expiredWords(kind: InterruptKind | undefined, onExpire: OnExpire): string {
  if (onExpire === "askAgain" || onExpire === "escalate") return EXPIRED[onExpire];
  if (kind === "question" || kind === "auth") return "the tool heard so";
  return kind === "outcome" ? "its outcome stays unknown" : EXPIRED[onExpire];
}

/** A text as it is, anything else as JSON. */
export function valueText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

/** "approved by ada after 2 h 3 min", "rejected by ada: not on Friday". */
export function answeredWords(
  answer: InterruptAnswer,
  actor: string | null,
  waitedMs: number | undefined,
  kind?: InterruptKind,
): string {
  const { done, rest, byNobody } = answerWords(answer, kind);
  const by = actor === null || byNobody ? "" : ` by ${oneLine(actor)}`;
  const after = waitedMs === undefined || byNobody ? "" : ` after ${duration(waitedMs)}`;
  return `${done}${by}${after}${rest}`;
}
