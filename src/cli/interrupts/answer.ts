import { dirname } from "node:path";
import { AppError, isAppError } from "../../lib/errors.ts";
import { actionsFor, type InterruptRecord } from "../../run/session/interrupts.ts";
import type { AnswerOptions, Sessions } from "../../run/session/sessions.ts";
import { exitCodes } from "../exit.ts";
import { placeWords } from "../place-words.ts";
import { alwaysRules } from "../render/always-rules.ts";
import { plural } from "../render/figures.ts";
import { oneLine, plain } from "../render/plain.ts";
import { answerWords, questionWords } from "../render/question.ts";
import { userName } from "../sending.ts";
import { openPlace, type Place, type PlaceWishes } from "../sessions/session.ts";
import { withAgent } from "../sessions/with-agent.ts";
import { shellWord } from "../shell-word.ts";
import { shortPath } from "../short-path.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { findInterrupt, findInterrupts } from "./interrupt.ts";
import { nextCommands } from "./next-commands.ts";
import type { AnswerFor } from "./read-answer.ts";

export interface AnswerWishes extends PlaceWishes {
  /** An id, the beginning of one, or a session. */
  readonly wanted: string;
  /** Every open question of the session. */
  readonly all: boolean;
  readonly actor: string | undefined;
  readonly json: boolean;
}

/** `holdfast approve`, `reject` and `interrupts answer` */
export async function answerInterrupts(
  answer: AnswerFor,
  wishes: AnswerWishes,
  terminal: Terminal,
): Promise<number> {
  await using place = await openPlace(wishes, terminal);
  const asked = wishes.all
    ? await findInterrupts(place.sessions, wishes.wanted)
    : [await findInterrupt(place.sessions, wishes.wanted)];
  const fitting = wishes.all ? fittingOf(asked, answer) : asked;
  const [first] = fitting;
  if (first === undefined) return exitCodes.ok;
  const session = await place.sessions.get(first.sessionId);
  // With the agent at hand arguments are checked, rules can be made of an answer, and one that is stale is noticed at once.
  await using answering = await withAgent(place, session, terminal, wishes.json);
  const answered: InterruptRecord[] = [];
  for (const interrupt of fitting) {
    answered.push(await give(interrupt, answer, answering.sessions, optionsFor(wishes, place)));
  }
  const [only] = answered;
  if (wishes.json) printJson(terminal, wishes.all ? { interrupts: answered } : only);
  else await tell(answered, { place, wishes, terminal, file: answering.file });
  return exitCodes.ok;
}

/** @throws AppError `invalid_input` when the answer fits none of them. */
function fittingOf(asked: readonly InterruptRecord[], answer: AnswerFor): readonly InterruptRecord[] {
  const fitting = asked.filter(({ request }) =>
    actionsFor(request).some((action) => action === answer(request).action),
  );
  if (fitting.length > 0) return fitting;
  throw new AppError("invalid_input", "this answers none of the open questions", {
    hint: asked
      .map(({ id, request }) => `  ${id}  ${questionWords(request)}: ${actionsFor(request).join(", ")}`)
      .join("\n"),
  });
}

function optionsFor({ actor: named }: AnswerWishes, { local }: Place): AnswerOptions {
  // A server knows its callers by their tokens.
  const actor = named ?? (local === null ? undefined : userName());
  return { ...(actor === undefined ? {} : { actor }), ...(local === null ? {} : { channel: "cli" }) };
}

async function give(
  { sessionId, id, request, answered }: InterruptRecord,
  answer: AnswerFor,
  sessions: Pick<Sessions, "answer">,
  options: AnswerOptions,
): Promise<InterruptRecord> {
  try {
    return await sessions.answer(sessionId, id, answer(request), options);
  } catch (error) {
    if (!isAppError(error, "conflict") || answered === null) throw error;
    const { done, rest } = answerWords(answered.answer);
    throw new AppError("conflict", `${error.message} The answer was: ${done}${rest}`, {
      ...(error.details === undefined ? {} : { details: error.details }),
      cause: error,
    });
  }
}

interface Telling {
  readonly place: Place;
  readonly wishes: AnswerWishes;
  readonly terminal: Terminal;
  /** The harness.json of the session's agent, where it is on this machine. */
  readonly file: string | null;
}

async function tell(answered: readonly InterruptRecord[], telling: Telling): Promise<void> {
  const { place, wishes, terminal } = telling;
  const { stdout } = terminal;
  for (const interrupt of answered) {
    printLine(stdout, told(interrupt));
    for (const rule of rulesMade(interrupt)) printLine(stdout, `  new rule: allow ${plain(rule)}`);
  }
  const [first] = answered;
  if (first === undefined) return;
  const { sessionId } = first;
  const open = await place.sessions.interrupts({ sessionId, status: "open" });
  if (open.length === 0) {
    printLine(stdout, goesOn(sessionId, telling));
    return;
  }
  printLine(
    stdout,
    `${plural(open.length, "question")} of the session ${open.length === 1 ? "is" : "are"} still open:`,
  );
  for (const command of nextCommands(open, placeWords(wishes))) printLine(stdout, `  ${command}`);
}

function rulesMade({ request, answered }: InterruptRecord): readonly string[] {
  const answer = answered?.answer;
  return answer?.action === "approve" && answer.always !== undefined ? alwaysRules(request) : [];
}

/** What has been said about what. */
function told({ request, answered, votes }: InterruptRecord): string {
  const what = request.kind === "budget" ? "" : ` ${questionWords(request)}`;
  if (answered === null) {
    return `${votes.length} of ${request.quorum ?? 1} approvals:${what}. Somebody else has to approve it, too.`;
  }
  const { done, rest } = answerWords(answered.answer);
  return oneLine(what === "" ? `${done}.` : `${done}:${what}${rest === "" ? "" : ` (${rest.slice(2)})`}`);
}

function goesOn(sessionId: string, { place: { local }, wishes, terminal: { cwd }, file }: Telling): string {
  if (local === null) return `The session ${sessionId} goes on.`;
  const folder = file === null ? null : dirname(file);
  const isNamed = wishes.agentPath !== undefined || folder === cwd;
  // Beside another agent than the one where a person stands, the data directory has to be named, too.
  const where = isNamed
    ? placeWords(wishes)
    : [
        "--agent",
        folder === null ? "<the agent's folder>" : shellWord(shortPath(folder, cwd)),
        "--data-dir",
        shellWord(wishes.dataDir ?? shortPath(local.dataDir, cwd)),
      ];
  const command = ["holdfast run", ...where, "--session", sessionId].join(" ");
  return `The session goes on where a server has it; without one: ${command}`;
}
