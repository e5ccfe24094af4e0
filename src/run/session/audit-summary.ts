import type { CallClassified, PermissionLayer } from "../../log/entry.ts";
import { type DecidedCall, LAYERS, type PersonsAction, personsActions } from "./decided-calls.ts";

/** What many decisions add up to. */
export interface AuditSummary {
  readonly sessions: number;
  readonly calls: number;
  /** Which layer had the last word; those that never had are left out. */
  readonly layers: readonly {
    readonly layer: PermissionLayer;
    readonly started: number;
    readonly refused: number;
    readonly answered: number;
  }[];
  readonly classifier: {
    /** How often a model was asked, and answered. */
    readonly asked: number;
    /** How often an earlier decision was used. */
    readonly reused: number;
    /** How often it came to no decision, so that a person was asked. */
    readonly failed: number;
    /** US dollars, as far as prices are known. */
    readonly costUsd: number;
    /** Of the calls that both a classifier and a person have decided about. */
    readonly agreement: readonly {
      readonly classifier: CallClassified["decision"];
      readonly people: Readonly<Record<PersonsAction, number>>;
    }[];
  };
  readonly people: {
    readonly answered: number;
    readonly expired: number;
    /** How long questions waited that somebody answered. Null: there was none. */
    readonly medianMs: number | null;
    readonly p95Ms: number | null;
  };
  /** The rules that decided most, by how many calls. */
  readonly rules: readonly { readonly rule: string; readonly calls: number }[];
  /** Rules of harness.json that have decided nothing, of the agents that are served here. */
  readonly unusedRules: readonly { readonly agent: string; readonly rule: string }[];
}

export interface AuditTally {
  session(): void;
  call(call: DecidedCall): void;
  classified(entry: CallClassified): void;
  summary(agents: readonly AgentRules[]): AuditSummary;
}

/** Rules as `Permission.by` names them. */
export interface AgentRules {
  readonly name: string;
  readonly rules: readonly string[];
}

const MOST_USED = 20;
const DECISIONS = ["allow", "ask", "deny"] as const satisfies readonly CallClassified["decision"][];

export function createAuditTally(): AuditTally {
  const calls = createCounter();
  const rules = createCounter();
  const used = new Set<string>();
  const waits: number[] = [];
  const classifier = { asked: 0, reused: 0, failed: 0, costUsd: 0 };
  let sessions = 0;

  function addPerson({ person, classifier: said }: DecidedCall): void {
    if (person === null) return;
    calls.add(`person ${person.action}`);
    if (person.action !== "expired") waits.push(person.waitedMs);
    if (said !== null && said.failed !== true) calls.add(`${said.decision} ${person.action}`);
  }

  return {
    session() {
      sessions += 1;
    },
    call(call) {
      calls.add("all");
      calls.add(`${call.layer} ${call.outcome}`);
      addPerson(call);
      if (call.layer !== "rules") return;
      for (const rule of rulesIn(call.by)) {
        rules.add(rule);
        used.add(`${call.agent} ${rule}`);
      }
    },
    classified({ model, failed, costUsd }) {
      if (failed === true) classifier.failed += 1;
      else if (model === null) classifier.reused += 1;
      else classifier.asked += 1;
      classifier.costUsd += costUsd ?? 0;
    },
    summary(agents) {
      const sorted = waits.toSorted((a, b) => a - b);
      const answered = personsActions.filter((action) => action !== "expired");
      return {
        sessions,
        calls: calls.of("all"),
        layers: LAYERS.map((layer) => ({
          layer,
          started: calls.of(`${layer} started`),
          refused: calls.of(`${layer} refused`),
          answered: calls.of(`${layer} answered`),
        })).filter((row) => row.started + row.refused + row.answered > 0),
        classifier: { ...classifier, agreement: agreementOf(calls) },
        people: {
          answered: answered.reduce((sum, action) => sum + calls.of(`person ${action}`), 0),
          expired: calls.of("person expired"),
          medianMs: quantile(sorted, 0.5),
          p95Ms: quantile(sorted, 0.95),
        },
        rules: rules.most(MOST_USED).map(([rule, count]) => ({ rule, calls: count })),
        unusedRules: agents.flatMap(({ name: agent, rules: own }) =>
          own.flatMap((rule) => (used.has(`${agent} ${rule}`) ? [] : [{ agent, rule }])),
        ),
      };
    },
  };
}

function agreementOf(calls: Pick<Counter, "of">): AuditSummary["classifier"]["agreement"] {
  return DECISIONS.map((decision) => ({
    classifier: decision,
    people: {
      approve: calls.of(`${decision} approve`),
      edit: calls.of(`${decision} edit`),
      reject: calls.of(`${decision} reject`),
      respond: calls.of(`${decision} respond`),
      expired: calls.of(`${decision} expired`),
    },
  })).filter(({ people }) => Object.values(people).some((count) => count > 0));
}

/** Several may have allowed a call together, each a part of it. */
function rulesIn(by: string): readonly string[] {
  return by.split(/, (?=(?:deny|breakpoint|ask|allow): )/);
}

/** The smallest value that is not exceeded by this share of them. */
function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}

interface Counter {
  add(key: string): void;
  of(key: string): number;
  most(limit: number): readonly (readonly [key: string, count: number])[];
}

function createCounter(): Counter {
  const counts = new Map<string, number>();
  return {
    add: (key) => counts.set(key, (counts.get(key) ?? 0) + 1),
    of: (key) => counts.get(key) ?? 0,
    most: (limit) => [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, limit),
  };
}
