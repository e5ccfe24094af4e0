import { systemClock } from "../../lib/clock.ts";
import type { InterruptRequest } from "../../log/entry.ts";
import { actionsFor, type InterruptRecord } from "../../run/session/interrupts.ts";
import { exitCodes } from "../exit.ts";
import { placeWords } from "../place-words.ts";
import { jsonText } from "../printable.ts";
import { ago, dollars, duration } from "../render/figures.ts";
import { oneLine, plain } from "../render/plain.ts";
import { answerWords, kindWords, questionBlock } from "../render/question.ts";
import { viewOptions } from "../render/view-options.ts";
import { openPlace, type PlaceWishes } from "../sessions/session.ts";
import { printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";
import { answeredText, findInterrupt } from "./interrupt.ts";
import { commandsFor } from "./next-commands.ts";

export interface ShowWishes extends PlaceWishes {
  /** An id, the beginning of one, or a session. */
  readonly wanted: string;
  readonly json: boolean;
}

/** `holdfast interrupts show`: all that is known about a question. */
export async function showInterrupt(wishes: ShowWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const interrupt = await findInterrupt(place.sessions, wishes.wanted);
  if (wishes.json) printJson(terminal, interrupt);
  else printInterrupt(interrupt, placeWords(wishes), terminal);
  return exitCodes.ok;
}

function printInterrupt(interrupt: InterruptRecord, place: readonly string[], terminal: Terminal): void {
  const { stdout, env } = terminal;
  const { request, status } = interrupt;
  const now = systemClock.now();
  const style = stylerFor(stdout, env);
  stdout.write(questionBlock(request, { ...viewOptions(terminal), place, now, previewLines: Infinity }));
  if ("call" in request) {
    printLine(stdout, style("dim", "  arguments"));
    for (const line of plain(jsonText(request.call.input, 2)).split("\n")) printLine(stdout, `    ${line}`);
  }
  if ("schema" in request && request.schema !== undefined) {
    printLine(stdout, style("dim", "  what is asked for (JSON Schema)"));
    for (const line of plain(jsonText(request.schema, 2)).split("\n")) printLine(stdout, `    ${line}`);
  }
  printLine(stdout);
  for (const [name, value] of [...rowsOf(interrupt, now), ...answerRows(interrupt, place)]) {
    printLine(stdout, `  ${style("dim", name.padEnd(9))} ${value}`);
  }
  if (status === "closed")
    printLine(stdout, "  Nobody needs to answer it any more: its run has ended, or a rule has decided it.");
}

type Row = readonly [name: string, value: string];

function rowsOf({ id, sessionId, agent, request, at, votes }: InterruptRecord, now: number): readonly Row[] {
  return [
    ["id", oneLine(id)],
    ["session", oneLine(sessionId)],
    ["agent", oneLine(agent)],
    ["kind", kindWords[request.kind]],
    ["asked", ago(now - at)],
    ...budgetRows(request),
    ...(votes.length === 0
      ? []
      : [
          [
            "approved",
            votes.map(({ actor, at: when }) => `${oneLine(actor)} (${ago(now - when)})`).join(", "),
          ] as const,
        ]),
    ...(request.abandonAt === undefined
      ? []
      : [["given up", `in ${duration(Math.max(0, request.abandonAt - now))}, if nobody answers`] as const]),
  ];
}

function budgetRows(request: InterruptRequest): readonly Row[] {
  if (request.kind !== "budget") return [];
  const { spentUsd, limitUsd, neededUsd } = request.budget;
  return [
    ["budget", `${dollars(spentUsd)} of ${dollars(limitUsd)}, the next call needs ${dollars(neededUsd)}`],
  ];
}

function answerRows(interrupt: InterruptRecord, place: readonly string[]): readonly Row[] {
  const { answered, status, request } = interrupt;
  if (answered !== null) {
    const how = answered.channel === null ? "" : ` (${oneLine(answered.channel)})`;
    const { byNobody } = answerWords(answered.answer, request.kind);
    return [[byNobody ? "ended" : "answer", `${answeredText(answered, request.kind)}${byNobody ? "" : how}`]];
  }
  if (status !== "open") return [];
  return [
    ["answers", actionsFor(request).join(", ")],
    ...commandsFor(interrupt, place).map((command, i): Row => [i === 0 ? "next" : "", command]),
  ];
}
