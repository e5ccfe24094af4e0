import { systemClock } from "../lib/clock.ts";
import type { PermissionAudit } from "../run/session/audit.ts";
import type { AuditSummary } from "../run/session/audit-summary.ts";
import type { DecidedCall } from "../run/session/decided-calls.ts";
import { exitCodes } from "./exit.ts";
import { readDuration } from "./read-number.ts";
import { age, dollars, plural } from "./render/figures.ts";
import { cut, oneLine } from "./render/plain.ts";
import { printTable } from "./render/table.ts";
import { openPlace, type PlaceWishes } from "./sessions/session.ts";
import { printJson, printLine, stylerFor, type Terminal } from "./terminal.ts";

export interface AuditWishes extends PlaceWishes {
  readonly agentName: string | undefined;
  readonly session: string | undefined;
  readonly since: string | undefined;
  readonly json: boolean;
}

/** As many calls as a screen has room for; `--json` has more. */
const SHOWN_CALLS = 15;
const LISTED_CALLS = 1_000;

/** `holdfast permissions audit` */
export async function showAudit(wishes: AuditWishes, terminal: Terminal): Promise<number> {
  const { agentName: agent, session: sessionId } = wishes;
  const since =
    wishes.since === undefined
      ? undefined
      : Math.max(0, systemClock.now() - readDuration("--since", wishes.since, "d"));
  await using place = await openPlace(wishes, terminal);
  const audit = await place.sessions.audit({
    ...(agent === undefined ? {} : { agent }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(since === undefined ? {} : { since }),
    limit: wishes.json ? LISTED_CALLS : SHOWN_CALLS,
  });
  if (wishes.json) printJson(terminal, audit);
  else printAudit(audit, terminal);
  return exitCodes.ok;
}

function printAudit({ summary, calls, omitted }: PermissionAudit, terminal: Terminal): void {
  const { stdout, env } = terminal;
  const style = stylerFor(stdout, env);
  const line = (text = "") => printLine(stdout, text);
  if (summary.calls === 0) {
    line(`No calls have been decided about, in ${plural(summary.sessions, "session")}.`);
    return;
  }
  line(`${plural(summary.calls, "call")} in ${plural(summary.sessions, "session")}`);
  line();
  printLayers(summary, terminal);
  for (const text of [...classifierLines(summary), ...peopleLines(summary)]) line(text);
  printRules(summary, terminal);
  line();
  printCalls(calls, terminal);
  if (omitted > 0) line(style("dim", `${plural(omitted, "earlier call")} not shown; --json lists more`));
}

const right = (title: string) => ({ title, align: "right" }) as const;

function printLayers({ layers }: AuditSummary, terminal: Terminal): void {
  printTable(
    [{ title: "DECIDED BY" }, right("STARTED"), right("REFUSED"), right("ANSWERED")],
    layers.map(({ layer, started, refused, answered }) => [
      layer,
      String(started),
      String(refused),
      String(answered),
    ]),
    terminal,
  );
}

function classifierLines({ classifier }: AuditSummary): readonly string[] {
  const { asked, reused, failed, costUsd, agreement } = classifier;
  if (asked + reused + failed === 0) return [];
  return [
    "",
    `classifier: asked ${plural(asked, "time")}, ${reused} answered from memory, ${failed} without an answer; ${dollars(costUsd)}`,
    ...agreement.map(({ classifier: said, people }) => {
      const counts = Object.entries(people).flatMap(([action, count]) =>
        count === 0 ? [] : [`${count} ${ACTIONS[action] ?? action}`],
      );
      return `  it said ${said}, people: ${counts.join(", ")}`;
    }),
  ];
}

const ACTIONS: Readonly<Record<string, string>> = {
  approve: "approved",
  edit: "edited",
  reject: "rejected",
  respond: "answered in its place",
  expired: "did not answer",
};

function peopleLines({ people }: AuditSummary): readonly string[] {
  const { answered, expired, medianMs, p95Ms } = people;
  if (answered + expired === 0) return [];
  const waited =
    medianMs === null || p95Ms === null ? "" : `; half within ${age(medianMs)}, 95 % within ${age(p95Ms)}`;
  return ["", `people: ${plural(answered, "answer")}, ${expired} expired${waited}`];
}

function printRules({ rules, unusedRules }: AuditSummary, { stdout }: Terminal): void {
  if (rules.length > 0) printLine(stdout, "\nrules that decided most");
  for (const { rule, calls } of rules.slice(0, 10)) {
    printLine(stdout, `  ${String(calls).padStart(5)}  ${oneLine(rule)}`);
  }
  if (unusedRules.length > 0) printLine(stdout, "\nrules that decided nothing");
  for (const { agent, rule } of unusedRules) printLine(stdout, `  ${oneLine(agent)}: ${oneLine(rule)}`);
}

function printCalls(calls: readonly DecidedCall[], terminal: Terminal): void {
  printTable(
    [
      { title: "WHEN" },
      { title: "SESSION" },
      { title: "TOOL" },
      { title: "RISK" },
      { title: "OUTCOME" },
      { title: "BY" },
    ],
    calls.map((call) => [
      new Date(call.at).toISOString().slice(0, 16).replace("T", " "),
      oneLine(call.sessionId),
      cut(oneLine(call.tool), 30),
      call.risk === null ? "-" : `${call.risk.reversibility}, ${call.risk.reach}`,
      call.outcome,
      `${call.layer}: ${cut(oneLine(call.by), 60)}`,
    ]),
    terminal,
  );
}
