import { systemClock } from "../../lib/clock.ts";
import type { Entry } from "../../log/entry.ts";
import { advance, fold } from "../../log/fold.ts";
import { DEFAULT_TENANT, type SessionRecord } from "../../log/session-log.ts";
import { emptyState } from "../../log/state.ts";
import type { Sessions } from "../../run/session/sessions.ts";
import { exitCodes } from "../exit.ts";
import { placeWords } from "../place-words.ts";
import { ago, dollars, duration, modelCallsText, plural, tokens } from "../render/figures.ts";
import { cut, oneLine } from "../render/plain.ts";
import { createSessionView, type Totals } from "../render/session-view.ts";
import { viewOptions } from "../render/view-options.ts";
import { printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";
import { getSession, openPlace, type PlaceWishes } from "./session.ts";
import { type Waiting, waitingOf, wordsFor } from "./waiting.ts";

export interface ShowWishes extends PlaceWishes {
  readonly session: string;
  readonly json: boolean;
}

/** `holdfast sessions show` */
export async function showSession(wishes: ShowWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const { sessions } = place;
  const session = await getSession(sessions, wishes.session);
  const inbox = await sessions.inbox(session.id);
  if (wishes.json) {
    const entries = await Array.fromAsync(allEntries(sessions, session));
    printJson(terminal, { session, entries, waiting: waitingOf(fold(entries), inbox) });
    return exitCodes.ok;
  }
  const view = createSessionView({ ...viewOptions(terminal), place: placeWords(wishes) });
  const state = emptyState();
  for await (const entry of allEntries(sessions, session)) {
    terminal.stdout.write(view.add({ type: "entry", entry }));
    advance(state, entry);
  }
  terminal.stdout.write(view.close());
  printWaiting(waitingOf(state, inbox), terminal);
  printSession(session, view.totals(), terminal);
  return exitCodes.ok;
}

function printWaiting(waiting: readonly Waiting[], { stdout, env }: Terminal): void {
  if (waiting.length === 0) return;
  const style = stylerFor(stdout, env);
  printLine(stdout, `\n${style("bold", "Waiting")}`);
  for (const each of waiting) {
    const words = style("dim", oneLine(wordsFor(each)));
    printLine(stdout, each.text === undefined ? `  ${words}` : `  › ${cut(oneLine(each.text), 60)} ${words}`);
  }
}

/** In order, in pages. */
export async function* allEntries(
  sessions: Pick<Sessions, "entries">,
  { id, headSeq }: SessionRecord,
): AsyncGenerator<Entry> {
  for (let after = 0; after < headSeq; ) {
    const page = await sessions.entries(id, after);
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.seq;
  }
}

function printSession(session: SessionRecord, totals: Totals, { stdout, env }: Terminal): void {
  const style = stylerFor(stdout, env);
  const now = systemClock.now();
  const row = (name: string, value: string) =>
    printLine(stdout, `  ${style("dim", name.padEnd(8))} ${value}`);
  printLine(stdout, `\n${style("bold", oneLine(session.title ?? "Session"))}`);
  row("session", oneLine(session.id));
  row("agent", oneLine(session.agent));
  if (session.tenant !== DEFAULT_TENANT) row("tenant", oneLine(session.tenant));
  row("status", `${oneLine(session.status)}, ${session.headSeq} entries`);
  row("age", `created ${ago(now - session.createdAt)}, changed ${ago(now - session.updatedAt)}`);
  const { runs, modelMs, toolsMs, overheadMs, waitingMs, toolCalls } = totals;
  row("work", `${plural(runs, "run")}, ${modelCallsText(totals)}, ${plural(toolCalls, "tool call")}`);
  const waiting = waitingMs === 0 ? "" : `, waiting for a person ${duration(waitingMs)}`;
  row(
    "time",
    `model ${duration(modelMs)}, tools ${duration(toolsMs)}, runtime ${duration(overheadMs)}${waiting}`,
  );
  row("tokens", tokens(session.usage));
  row("cost", costOf(session));
}

function costOf({ costUsd, unpricedCalls }: SessionRecord): string {
  if (unpricedCalls === 0) return dollars(costUsd);
  return `${dollars(costUsd)} and ${plural(unpricedCalls, "call")} of unknown price`;
}
