import { systemClock } from "../../lib/clock.ts";
import type { Entry } from "../../log/entry.ts";
import type { SessionRecord } from "../../log/session-log.ts";
import type { Sessions } from "../../run/sessions.ts";
import { exitCodes } from "../exit.ts";
import { age, dollars, duration, plural, tokens } from "../render/figures.ts";
import { oneLine } from "../render/plain.ts";
import { createSessionView, type Totals } from "../render/session-view.ts";
import { viewOptions } from "../render/view-options.ts";
import { printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";
import { getSession, openPlace, type PlaceWishes } from "./session.ts";

export interface ShowWishes extends PlaceWishes {
  readonly session: string;
  readonly json: boolean;
}

/** `holdfast sessions show` */
export async function showSession(wishes: ShowWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const { sessions } = place;
  const session = await getSession(sessions, wishes.session);
  if (wishes.json) {
    printJson(terminal, { session, entries: await Array.fromAsync(allEntries(sessions, session)) });
    return exitCodes.ok;
  }
  const view = createSessionView(viewOptions(terminal));
  for await (const entry of allEntries(sessions, session))
    terminal.stdout.write(view.add({ type: "entry", entry }));
  terminal.stdout.write(view.close());
  printSession(session, view.totals(), terminal);
  return exitCodes.ok;
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
  row("status", `${oneLine(session.status)}, ${session.headSeq} entries`);
  row("age", `created ${age(now - session.createdAt)} ago, changed ${age(now - session.updatedAt)} ago`);
  const { runs, modelMs, toolsMs, overheadMs, modelCalls, toolCalls } = totals;
  row(
    "work",
    `${plural(runs, "run")}, ${plural(modelCalls, "model call")}, ${plural(toolCalls, "tool call")}`,
  );
  row("time", `model ${duration(modelMs)}, tools ${duration(toolsMs)}, runtime ${duration(overheadMs)}`);
  row("tokens", tokens(session.usage));
  row("cost", costOf(session));
}

function costOf({ costUsd, unpricedCalls }: SessionRecord): string {
  if (unpricedCalls === 0) return dollars(costUsd);
  return `${dollars(costUsd)} and ${plural(unpricedCalls, "call")} of unknown price`;
}
