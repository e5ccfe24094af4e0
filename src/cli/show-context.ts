import type { ContextView } from "../context/view.ts";
import { openRuntime } from "../runtime.ts";
import { exitCodes } from "./exit.ts";
import { createNotices } from "./notices.ts";
import { count, plural } from "./render/figures.ts";
import { oneLine } from "./render/plain.ts";
import { getSession, harnessOf, openPlace, type Place, type PlaceWishes } from "./sessions/session.ts";
import { printJson, printLine, stylerFor, type Terminal } from "./terminal.ts";

export interface ContextWishes extends PlaceWishes {
  readonly session: string;
  readonly request: boolean;
  readonly json: boolean;
}

/** `holdfast context` */
export async function showContext(wishes: ContextWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const view = await readView(place, wishes, terminal);
  if (wishes.json) printJson(terminal, view);
  else if (wishes.request) printJson(terminal, view.request);
  else printView(view, terminal);
  return exitCodes.ok;
}

/** A server knows the session's agent; in a data directory its harness.json has to be found first. */
async function readView(place: Place, wishes: ContextWishes, terminal: Terminal): Promise<ContextView> {
  const { sessions, local } = place;
  const session = await getSession(sessions, wishes.session);
  const options = { request: wishes.request };
  if (local === null) return sessions.context(session.id, options);
  const file = await harnessOf(session, local);
  await using runtime = await openRuntime({
    config: local.config,
    dataDir: local.dataDir,
    agents: [file],
    work: "none",
    notify: createNotices(terminal, wishes).tell,
  });
  return await runtime.sessions.context(session.id, options);
}

function printView(view: ContextView, { stdout, env }: Terminal): void {
  const style = stylerFor(stdout, env);
  const { sections, tools, deferred, messages, opens } = view;
  const share = (tokens: number) => (view.window === null ? "" : percent(tokens / view.window));
  const row = (name: string, tokens: number, from: string) =>
    printLine(
      stdout,
      `  ${oneLine(name).padEnd(NAME_WIDTH)} ${count(tokens).padStart(7)} ${share(tokens).padStart(6)}  ${style("dim", oneLine(from))}`.trimEnd(),
    );
  const heading = (text: string) => printLine(stdout, `\n${style("bold", text)}`);

  printLine(stdout, `${style("bold", oneLine(view.model))}, ${windowText(view)}`);
  if (opens !== null) printLine(stdout, style("dim", openingText(opens)));
  heading("System prompt");
  for (const { name, source, tokens } of sections) row(titles[name], tokens, source);
  heading(`Tools, ${tools.length} in full`);
  for (const { name, tokens } of tools) row(name, tokens, "");
  if (deferred.length > 0) {
    heading(`Tools, ${deferred.length} to be found with find_tools`);
    printLine(stdout, `  ${oneLine(deferred.join(", "))}`);
  }
  heading("Messages");
  row(plural(messages.count, "message"), messages.tokens, "");
}

const NAME_WIDTH = 24;

const titles: Readonly<Record<ContextView["sections"][number]["name"], string>> = {
  identity: "identity",
  work: "how to work",
  toolGuidance: "tools and messages",
  deferredTools: "more tools",
  agent: "agent",
  project: "project",
  memory: "memory",
  environment: "environment",
};

function windowText({ tokens, window }: ContextView): string {
  return window === null
    ? `${count(tokens)} tokens; its window is not known`
    : `${count(tokens)} of ${count(window)} tokens, ${percent(tokens / window)}`;
}

function openingText(opens: NonNullable<ContextView["opens"]>): string {
  switch (opens) {
    case "start":
      return "No request has been sent yet.";
    case "promptChanged":
      return "The system prompt has changed since the last request: the provider's cache will not serve the messages.";
    case "toolsChanged":
      return "The tools have changed since the last request: the provider's cache will serve nothing of it.";
    case "modelChanged":
      return "The model has changed since the last request: the provider's cache will serve nothing of it.";
    case "compacted":
      return "The transcript was compacted since the last request.";
  }
}

function percent(share: number): string {
  return share > 0 && share < 0.001 ? "<0.1%" : `${(share * 100).toFixed(1)}%`;
}
