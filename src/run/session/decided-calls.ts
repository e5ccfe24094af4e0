import { resolveCall } from "../../context/find-tools.ts";
import { isRecord } from "../../lib/json.ts";
import type {
  CallClassified,
  Entry,
  Interrupted,
  InterruptResolved,
  Permission,
  PermissionLayer,
  Risk,
} from "../../log/entry.ts";

/** A call of which something decided whether it may start, and what everybody who was asked has said. */
export interface DecidedCall {
  readonly sessionId: string;
  readonly agent: string;
  readonly runId: string;
  readonly callId: string;
  readonly tool: string;
  /** When it was decided, milliseconds since 1970. */
  readonly at: number;
  /** Null where nobody has been asked and the tool is not known any more. */
  readonly risk: Risk | null;
  /** `refused`: also for want of an answer. `answered`: by a person, in the tool's place. */
  readonly outcome: "started" | "refused" | "answered";
  /** What had the last word. */
  readonly layer: PermissionLayer;
  readonly by: string;
  /** Null where none was asked. */
  readonly classifier: Pick<CallClassified, "decision" | "reason" | "failed"> | null;
  /** Null where nobody was asked, or the question came to nothing. */
  readonly person: PersonsDecision | null;
}

export interface PersonsDecision {
  readonly action: PersonsAction;
  readonly actor: string | null;
  readonly channel: string | null;
  readonly waitedMs: number;
}

export const personsActions = ["approve", "edit", "reject", "respond", "expired"] as const;
export type PersonsAction = (typeof personsActions)[number];

/** Finds the decided calls in the entries of one session, which pass by in their order. */
export interface DecisionReader {
  /** The call that this entry decides about. */
  add(entry: Entry): DecidedCall | null;
}

/** What is known of a call before it is decided about. */
interface Pending {
  readonly tool: string;
  readonly input: unknown;
  readonly risk?: Risk;
  readonly classifier?: DecidedCall["classifier"];
  readonly person?: PersonsDecision;
  readonly isDecided?: true;
}

/**
 * @param session whose decisions count: a fork's log begins with those of the session that it came from.
 * @param riskOf what a call of which nobody was asked can do; null where that is not known.
 */
export function createDecisionReader(
  session: { readonly id: string; readonly agent: string },
  riskOf: (tool: string, input: unknown) => Risk | null,
): DecisionReader {
  const calls = new Map<string, Pending>();
  const questions = new Map<string, { readonly callId: string; readonly at: number }>();

  function learn(callId: string, found: Partial<Pending>): void {
    const known = calls.get(callId);
    if (known !== undefined) calls.set(callId, { ...known, ...found });
  }

  function ask({ request, interruptId, at }: Entry & Interrupted): void {
    if (request.kind !== "approval" && request.kind !== "breakpoint") return;
    const { callId, risk } = request.call;
    questions.set(interruptId, { callId, at });
    learn(callId, { risk });
  }

  function hear({ interruptId, answer, actor, channel, waitedMs, at }: Entry & InterruptResolved): void {
    const asked = questions.get(interruptId);
    questions.delete(interruptId);
    const action = personsActions.find((each) => each === answer.action);
    if (asked === undefined || action === undefined) return;
    const waited = waitedMs ?? at - asked.at;
    learn(asked.callId, {
      person: { action, actor: actor ?? null, channel: channel ?? null, waitedMs: waited },
    });
  }

  function decide(
    entry: Entry & { readonly runId: string; readonly callId: string; readonly name: string },
    outcome: DecidedCall["outcome"],
    { layer, by }: Permission,
  ): DecidedCall | null {
    const { runId, callId, name: tool, at } = entry;
    const known = calls.get(callId);
    if (known?.isDecided) return null;
    learn(callId, { isDecided: true });
    if (entry.sessionId !== session.id) return null;
    return {
      sessionId: session.id,
      agent: session.agent,
      ...{ runId, callId, tool, at, outcome, layer, by },
      risk: known?.risk ?? riskOf(tool, known?.input),
      classifier: known?.classifier ?? null,
      person: known?.person ?? null,
    };
  }

  return {
    add(entry) {
      switch (entry.type) {
        case "assistantMessage":
        case "answerPart":
          for (const block of entry.blocks) {
            if (block.type !== "toolCall" || calls.has(block.callId)) continue;
            const { name: tool, input } = resolveCall(block);
            calls.set(block.callId, { tool, input });
          }
          return null;
        case "callClassified": {
          const { decision, reason, failed } = entry;
          learn(entry.callId, {
            classifier: { decision, reason, ...(failed === undefined ? {} : { failed }) },
          });
          return null;
        }
        case "interrupted":
          ask(entry);
          return null;
        case "interruptResolved":
          hear(entry);
          return null;
        case "toolStarted":
          return entry.permission === undefined ? null : decide(entry, "started", entry.permission);
        case "toolFinished": {
          const permission = permissionIn(entry.details);
          const outcome = entry.outcome === "answered" ? "answered" : "refused";
          const decided = permission === null ? null : decide(entry, outcome, permission);
          calls.delete(entry.callId);
          return decided;
        }
        default:
          return null;
      }
    },
  };
}

function permissionIn(details: Readonly<Record<string, unknown>> | undefined): Permission | null {
  const found = details?.permission;
  if (!isRecord(found) || typeof found.by !== "string") return null;
  const layer = LAYERS.find((each) => each === found.layer);
  return layer === undefined ? null : { layer, by: found.by };
}

export const LAYERS = [
  "validation",
  "mode",
  "rules",
  "hook",
  "classifier",
  "person",
] as const satisfies readonly PermissionLayer[];
