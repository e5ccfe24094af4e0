import { setTimeout as delay } from "node:timers/promises";
import type { Entry, Session } from "../../src/index.ts";
import type { InterruptRecord } from "../../src/run/session/interrupts.ts";
import type { Scenario } from "./in-process.ts";

/** Sends a message to a new session, and waits until its run has ended or waits for a person. */
export async function sendTo(scenario: Scenario, text = "go", known?: Session): Promise<Session> {
  const session = known ?? (await scenario.session());
  await scenario.runtime.sessions.send(session.id, { blocks: [{ type: "text", text }] });
  await atRest(scenario, session);
  return session;
}

export async function atRest({ runtime }: Scenario, { id }: Pick<Session, "id">): Promise<void> {
  const isAtRest = async () => {
    const { status } = await runtime.sessions.get(id);
    return (status === "idle" || status === "waiting") && (await runtime.sessions.inbox(id)).length === 0;
  };
  while (!(await isAtRest())) await delay(5);
}

/** The questions that nobody has answered, oldest first. */
export async function openQuestions(
  { runtime }: Scenario,
  { id: sessionId }: Pick<Session, "id">,
): Promise<readonly InterruptRecord[]> {
  return (await runtime.sessions.interrupts({ sessionId, status: "open" })).toReversed();
}

/** The one question that is open. */
export async function openQuestion(
  scenario: Scenario,
  session: Pick<Session, "id">,
): Promise<InterruptRecord> {
  const [open, ...others] = await openQuestions(scenario, session);
  if (open === undefined || others.length > 0)
    throw new Error(`not one question is open, but ${others.length}`);
  return open;
}

export function ofType<T extends Entry["type"]>(log: readonly Entry[], type: T) {
  return log.filter((entry): entry is Extract<Entry, { type: T }> => entry.type === type);
}

/** What the model was told of each call that has ended. */
export function results(
  log: readonly Entry[],
): readonly { readonly outcome: string; readonly text: string }[] {
  return ofType(log, "toolFinished").map(({ outcome, blocks }) => ({
    outcome,
    text: blocks.map((block) => (block.type === "text" ? block.text : `[${block.type}]`)).join("\n"),
  }));
}
