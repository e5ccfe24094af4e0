import type { CallPreview, InterruptRequest } from "../../log/entry.ts";
import type { InterruptRecord } from "../../run/session/interrupts.ts";
import { answerForms, MAX_SHOWN, type TypedFields } from "./forms.ts";
import { type Html, html, nothing, visibleJson } from "./html.ts";
import { STYLE } from "./style.ts";

/** What there is to show of a question. */
export interface Shown {
  readonly record: InterruptRecord;
  /** Whom the link was sent to; null: nobody in particular. */
  readonly actor: string | null;
  /** Who sent the message that it comes of; null where nobody said. */
  readonly requester: string | null;
  /** What went wrong with an answer, or came of it. */
  readonly notice?: string;
  /** What was typed, where it has to be corrected. */
  readonly typed?: TypedFields;
}

/** The question with what can be answered; one that is answered says who did, and when. @pure */
export function questionPage(shown: Shown): string {
  const { record, notice } = shown;
  const { request } = record;
  return page(
    titleOf(record),
    html`<h1>${titleOf(record)}</h1>
${notice === undefined ? nothing : html`<p class="notice" role="status">${notice}</p>`}
${record.status === "open" ? nothing : html`<p class="notice">${endOf(record)}</p>`}
<p class="said">${request.message}</p>
${request.kind === "auth" ? placeToGo(request.url) : nothing}
${"changedSince" in request ? html`<p class="notice">What this would change has changed since it was asked about before.</p>` : nothing}
${contentOf(request)}
${factsOf(shown)}
${isAnswerable(shown) ? answerForms(request, shown.typed) : nothing}`,
  );
}

/** What there is to say where there is no question to show. @pure */
export function messagePage(title: string, text: string): string {
  return page(title, html`<h1>${title}</h1>\n<p>${text}</p>`);
}

function page(title: string, body: Html): string {
  const style: Html = { html: STYLE };
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><style>${style}</style></head>
<body>
${body}
</body></html>
`.html;
}

function titleOf({ agent, request }: InterruptRecord): string {
  switch (request.kind) {
    case "approval":
    case "breakpoint":
      return `May ${agent} run ${request.call.tool}?`;
    case "outcome":
      return `What became of ${request.call.tool}?`;
    case "question":
    case "auth":
      return `${agent} asks`;
    case "budget":
      return `${agent} has used up a budget`;
  }
}

/** Somebody who has approved waits for the others. */
function isAnswerable({ record, actor }: Shown): boolean {
  return record.status === "open" && !record.votes.some((vote) => vote.actor === actor);
}

function endOf({ answered }: InterruptRecord): string {
  if (answered === null)
    return "Nothing waits for an answer any more: the run has ended, or a rule has decided it.";
  const { answer, actor, at, channel } = answered;
  if (answer.action === "expired") return `Nobody answered in time. It was over at ${timeOf(at)}.`;
  if (answer.action === "abandoned")
    return `Nobody answered for so long that the run was given up, at ${timeOf(at)}.`;
  if (answer.action === "stale")
    return `What was asked about had changed at ${timeOf(at)}. What is to be decided now is asked anew.`;
  const how = channel === null ? "" : ` (${channel})`;
  return `Answered by ${actor ?? "somebody"} at ${timeOf(at)}${how}: ${wordsOf[answer.action]}.`;
}

const wordsOf = {
  approve: "approved",
  edit: "approved with other arguments",
  reject: "rejected",
  respond: "answered",
  done: "it was done",
  retry: "to be tried again",
  skip: "left as it is",
  raise: "the budget is raised",
  end: "the run ends",
  withdrawn: "nobody needs to answer any more",
} as const;

function contentOf(request: InterruptRequest): Html {
  if (request.kind === "budget") return nothing;
  const preview = "preview" in request ? request.preview : undefined;
  const input = html`<pre dir="ltr">${cut(visibleJson(request.call.input))}</pre>`;
  if (preview === undefined) return html`<h2>Arguments</h2>${input}`;
  return html`${previewOf(preview)}\n<details><summary>All arguments</summary>${input}</details>`;
}

/** Nobody reads more; whoever approves is told that there is. */
function cut(text: string): string {
  if (text.length <= MAX_SHOWN) return text;
  return `${text.slice(0, MAX_SHOWN)}\n... and ${text.length - MAX_SHOWN} more characters, which are in the session's log`;
}

function previewOf({ type, text }: CallPreview): Html {
  switch (type) {
    case "diff":
      return html`<h2>What would change</h2><pre dir="ltr">${cut(text).split("\n").map(diffLine)}</pre>`;
    case "command":
      return html`<h2>Command</h2><pre dir="ltr">${cut(text)}</pre>`;
    case "text":
      return html`<h2>What would happen</h2><pre dir="ltr">${cut(text)}</pre>`;
  }
}

/** The first two lines name the file. */
function diffLine(line: string, index: number): Html {
  if (index < 2 || line.startsWith("@@")) return html`<span class="hunk">${line}</span>\n`;
  if (line.startsWith("+")) return html`<span class="add">${line}</span>\n`;
  if (line.startsWith("-")) return html`<span class="del">${line}</span>\n`;
  return html`${line}\n`;
}

/** Only addresses that a browser goes to; what they say is read before. */
function placeToGo(url = ""): Html {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== "https:" && parsed?.protocol !== "http:") return html`<p>${url}</p>`;
  return html`<p><a href="${parsed.href}" rel="noreferrer noopener" target="_blank">${parsed.href}</a></p>`;
}

function factsOf({ record, actor, requester }: Shown): Html {
  const { request } = record;
  const risk = request.kind === "budget" ? undefined : request.call.risk;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["Tool", request.kind === "budget" ? undefined : request.call.tool],
    ["Risk", risk && [reversibility[risk.reversibility], reach[risk.reach], ...risk.why].join("; ")],
    ["Asked because of", "permission" in request ? request.permission.by : undefined],
    ["Asked for by", requester ?? undefined],
    ["Agent", record.agent],
    ["Session", record.sessionId],
    ["Asked", timeOf(record.at)],
    ["Open until", request.expiresAt === undefined ? undefined : timeOf(request.expiresAt)],
    ["Who may answer", request.approvers?.join(", ")],
    ["Approved so far", votesOf(record)],
    ["You answer as", actor ?? undefined],
  ];
  const rows = facts.flatMap(([name, value]) =>
    value === undefined ? [] : [html`<dt>${name}</dt><dd>${value}</dd>\n`],
  );
  return html`<dl>\n${rows}</dl>`;
}

const reversibility = {
  none: "changes nothing",
  undoable: "can be undone",
  hard: "hard to undo",
  irreversible: "cannot be undone",
} as const;

const reach = {
  workspace: "in the workspace",
  session: "in the session",
  outside: "reaches outside",
} as const;

function votesOf({ request: { quorum = 1 }, votes }: InterruptRecord): string | undefined {
  if (quorum === 1) return undefined;
  const names = votes.map(({ actor, at }) => `${actor}, ${timeOf(at)}`);
  return [`${votes.length} of ${quorum}`, ...names].join("; ");
}

/** "2026-01-31 09:05 UTC" */
function timeOf(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
