import { systemClock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { InterruptAnswer } from "../log/entry.ts";
import { type InterruptRecord, type InterruptStatus, interruptStatuses } from "../run/session/interrupts.ts";
import type { Sessions } from "../run/session/sessions.ts";
import { exitCodes } from "./exit.ts";
import { placeWords, withPlace } from "./place-words.ts";
import { age, dollars } from "./render/figures.ts";
import { oneLine } from "./render/plain.ts";
import { printTable } from "./render/table.ts";
import { userName } from "./sending.ts";
import { getSession, openPlace, type Place, type PlaceWishes } from "./sessions/session.ts";
import { printJson, printLine, type Terminal } from "./terminal.ts";

export interface ListWishes extends PlaceWishes {
  readonly agentName: string | undefined;
  readonly status: string | undefined;
  readonly json: boolean;
}

/** `holdfast interrupts list` */
export async function listInterrupts(wishes: ListWishes, terminal: Terminal): Promise<number> {
  const status = readStatus(wishes.status ?? "open");
  await using place = await openPlace(wishes, terminal);
  const interrupts = await place.sessions.interrupts({
    status,
    ...(wishes.agentName === undefined ? {} : { agent: wishes.agentName }),
  });
  if (wishes.json) printJson(terminal, { interrupts });
  else if (interrupts.length === 0) printLine(terminal.stdout, `No interrupt is ${status}.`);
  else printTable(COLUMNS, interrupts.map(cellsOf), terminal);
  return exitCodes.ok;
}

function readStatus(text: string): InterruptStatus {
  const status = interruptStatuses.find((known) => known === text);
  if (status !== undefined) return status;
  throw new AppError("invalid_input", `--status ${JSON.stringify(text)} is not known`, {
    hint: `Known: ${interruptStatuses.join(", ")}.`,
  });
}

const COLUMNS = [
  { title: "SESSION" },
  { title: "AGENT" },
  { title: "BUDGET" },
  { title: "SPENT", align: "right" },
  { title: "LIMIT", align: "right" },
  { title: "NEEDED", align: "right" },
  { title: "ASKED", align: "right" },
  { title: "ANSWER" },
] as const;

function cellsOf({ sessionId, agent, at, request, answered }: InterruptRecord): readonly string[] {
  const { scope, spentUsd, limitUsd, neededUsd } = request.budget;
  return [
    sessionId,
    agent,
    scope,
    dollars(spentUsd),
    dollars(limitUsd),
    dollars(neededUsd),
    age(systemClock.now() - at),
    answered === null
      ? ""
      : `${answerText(answered.answer)}${answered.actor === null ? "" : ` by ${oneLine(answered.actor)}`}`,
  ];
}

function answerText(answer: InterruptAnswer): string {
  return answer.action === "raise" ? `raised to ${dollars(answer.limitUsd)}` : "ended";
}

function answeredText({ answer, actor, at }: NonNullable<InterruptRecord["answered"]>): string {
  const who = actor === null ? "" : ` by ${oneLine(actor)}`;
  return `${answerText(answer)}${who}, ${age(systemClock.now() - at)} ago`;
}

export interface OneWishes extends PlaceWishes {
  readonly session: string;
  readonly json: boolean;
}

/** `holdfast interrupts show` */
export async function showInterrupt(wishes: OneWishes, terminal: Terminal): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const interrupt = await openInterrupt(place.sessions, wishes.session);
  if (wishes.json) printJson(terminal, interrupt);
  else {
    printTable(COLUMNS, [cellsOf(interrupt)], terminal);
    printLine(terminal.stdout, `\n${oneLine(withPlace(interrupt.request.message, placeWords(wishes)))}`);
  }
  return exitCodes.ok;
}

/** @throws AppError `not_found`; `conflict` when the session does not wait for anybody. */
async function openInterrupt(
  sessions: Pick<Sessions, "get" | "list" | "interrupts">,
  sessionId: string,
): Promise<InterruptRecord> {
  const { id, status } = await getSession(sessions, sessionId);
  const [latest] = await sessions.interrupts({ sessionId: id, limit: 1 });
  if (latest?.status === "open") return latest;
  const last = latest?.answered ? `; the last one: ${answeredText(latest.answered)}` : "";
  throw new AppError("conflict", `the session ${id} does not wait for an answer (it is ${status})${last}`, {
    hint: "`holdfast interrupts list` shows those that do.",
  });
}

export interface AnswerWishes extends OneWishes {
  readonly raise: string | undefined;
  readonly end: boolean;
  readonly actor: string | undefined;
}

/** `holdfast interrupts answer` */
export async function answerInterrupt(wishes: AnswerWishes, terminal: Terminal): Promise<number> {
  const answer = readAnswer(wishes);
  await using place = await openPlace(wishes, terminal);
  const { sessions } = place;
  const { sessionId, id } = await openInterrupt(sessions, wishes.session);
  // A server knows its callers by their tokens.
  const actor = wishes.actor ?? (place.local === null ? undefined : userName());
  const interrupt = await sessions.answer(sessionId, id, answer, actor === undefined ? {} : { actor });
  if (wishes.json) printJson(terminal, interrupt);
  else printLine(terminal.stdout, `${answerText(answer)}. ${goesOn(place, sessionId, wishes)}`);
  return exitCodes.ok;
}

function goesOn({ local }: Place, sessionId: string, wishes: PlaceWishes): string {
  if (local === null) return `The session ${sessionId} goes on.`;
  return `The session goes on where a server has it; without one: ${["holdfast run", ...placeWords(wishes), "--session", sessionId].join(" ")}`;
}

/** @throws AppError `invalid_input` */
function readAnswer({ raise, end }: AnswerWishes): InterruptAnswer {
  if ((raise === undefined) === !end) {
    throw new AppError("invalid_input", "say either --raise <dollars> or --end", {
      hint: "--raise gives the new limit, which replaces the old one.",
    });
  }
  if (raise === undefined) return { action: "end" };
  const limitUsd = Number(raise.replace(/^\$/, ""));
  if (/^\$?\d+(?:\.\d+)?$/.test(raise) && limitUsd > 0) return { action: "raise", limitUsd };
  throw new AppError("invalid_input", `--raise ${JSON.stringify(raise)} is not an amount of US dollars`, {
    hint: "Write it like 5 or 0.50.",
  });
}
