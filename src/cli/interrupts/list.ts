import { systemClock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import {
  type InterruptRecord,
  type InterruptStatus,
  interruptStatuses,
} from "../../run/session/interrupts.ts";
import { exitCodes } from "../exit.ts";
import { age, duration } from "../render/figures.ts";
import { cut, oneLine } from "../render/plain.ts";
import { answeredWords, kindWords, questionWords } from "../render/question.ts";
import { type Column, printTable } from "../render/table.ts";
import { openPlace, type PlaceWishes } from "../sessions/session.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

export interface ListWishes extends PlaceWishes {
  readonly agentName: string | undefined;
  readonly status: string | undefined;
  readonly json: boolean;
}

/** `holdfast approvals`, `holdfast interrupts list` */
export async function listInterrupts(wishes: ListWishes, terminal: Terminal): Promise<number> {
  const status = readStatus(wishes.status ?? "open");
  await using place = await openPlace(wishes, terminal);
  const interrupts = await place.sessions.interrupts({
    status,
    limit: MOST,
    ...(wishes.agentName === undefined ? {} : { agent: wishes.agentName }),
  });
  if (wishes.json) printJson(terminal, { interrupts });
  else if (interrupts.length === 0) printLine(terminal.stdout, NOTHING[status]);
  else
    printTable(
      columnsFor(status),
      interrupts.map((each) => cellsOf(each, status)),
      terminal,
    );
  return exitCodes.ok;
}

/** The most that a store lists. */
const MOST = 1_000;

const NOTHING: Readonly<Record<InterruptStatus, string>> = {
  open: "Nothing waits for an answer.",
  answered: "Nothing was answered.",
  closed: "No question was closed without an answer.",
};

function readStatus(text: string): InterruptStatus {
  const status = interruptStatuses.find((known) => known === text);
  if (status !== undefined) return status;
  throw new AppError("invalid_input", `--status ${JSON.stringify(text)} is not known`, {
    hint: `Known: ${interruptStatuses.join(", ")}.`,
  });
}

function columnsFor(status: InterruptStatus): readonly Column[] {
  return [
    { title: "ID" },
    { title: "SESSION" },
    { title: "AGENT" },
    { title: "KIND" },
    { title: "WHAT" },
    { title: "ASKED", align: "right" },
    status === "open" ? { title: "EXPIRES", align: "right" } : { title: "ANSWER, OR WHY NONE" },
  ];
}

function cellsOf(interrupt: InterruptRecord, status: InterruptStatus): readonly string[] {
  const { id, sessionId, agent, at, request, votes } = interrupt;
  const now = systemClock.now();
  const { quorum = 1 } = request;
  const approved = quorum > 1 ? ` (${votes.length} of ${quorum})` : "";
  return [
    oneLine(id),
    oneLine(sessionId),
    oneLine(agent),
    `${kindWords[request.kind]}${approved}`,
    cut(questionWords(request), 60),
    age(now - at),
    status === "open" ? expiry(interrupt, now) : answerOf(interrupt),
  ];
}

function expiry({ request: { expiresAt } }: InterruptRecord, now: number): string {
  if (expiresAt === undefined) return "-";
  return expiresAt <= now ? "now" : `in ${duration(expiresAt - now)}`;
}

function answerOf({ answered, request }: InterruptRecord): string {
  return answered === null
    ? ""
    : cut(answeredWords(answered.answer, answered.actor, undefined, request.kind), 60);
}
