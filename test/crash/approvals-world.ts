import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import {
  defineTool,
  openRuntime,
  openSqliteStore,
  type Runtime,
  type Store,
  type Tool,
} from "../../src/index.ts";
import { createScriptedModel } from "../../src/testing/testing.ts";
import { answerFor, kinds, type Plan, script } from "./approvals-script.ts";

export interface NodePlan {
  /** `work` and `both` end when nothing is left to do. `answer` answers without working, at random moments, until it is killed. */
  readonly role: "work" | "answer" | "both";
  readonly answers: Plan;
  /** Make sure that so many sessions exist, each with its one message. */
  readonly sessions?: number;
  /** Die at the n-th of the points at which it can. */
  readonly dieAt?: number;
  /** How long a question may be open; default: for ever. */
  readonly expiresAfter?: string;
}

/** Does what the plan says. `pass` is called at each point at which a process may die, with what comes next. */
export async function live(
  dataDir: string,
  plan: NodePlan,
  { pass = () => {}, ready = () => {} }: { pass?: (next: string) => void; ready?: () => void } = {},
): Promise<void> {
  await using store = await openSqliteStore({ path: join(dataDir, "holdfast.db") });
  await using runtime = await openRuntime({
    agents: [
      {
        name: "worker",
        systemPrompt: "You work.",
        model: "scripted/worker",
        snapshots: { enabled: false },
        ...(plan.expiresAfter === undefined ? {} : { approvals: { expiresAfter: plan.expiresAfter } }),
        tools: (["readonly", ...kinds] as const).map((effect) => effectful(effect, dataDir, pass)),
      },
    ],
    dataDir,
    store: mortal(store, pass),
    models: () => model,
    work: plan.role === "answer" ? "none" : "all",
  });
  const { sessions } = runtime;
  for (let i = 0; i < (plan.sessions ?? 0); i++) {
    const id = `session-${i}`;
    await sessions.create({ agent: "worker", id, idempotencyKey: id });
    await sessions.send(id, { blocks: [{ type: "text", text: "Go." }], idempotencyKey: "go" });
  }
  ready();
  for (;;) {
    if (plan.role !== "work") await answerSome(runtime, plan);
    if (plan.role !== "answer" && (await isDone(runtime))) return;
    await sleep(10);
  }
}

const model = createScriptedModel(script, { record: false });

function effectful(effect: Tool["effect"], dataDir: string, pass: (next: string) => void): Tool {
  const effects = join(dataDir, "effects.txt");
  return defineTool({
    name: effect,
    description: `A tool with the effect "${effect}".`,
    input: z.object({ amount: z.number() }),
    effect,
    run: ({ amount }, { sessionId, callId, operationId }) => {
      pass("effect");
      appendFileSync(effects, `${JSON.stringify({ effect, sessionId, callId, operationId, amount })}\n`);
      return `${effect} done`;
    },
    reconcile: async (_input, { operationId }) =>
      existsSync(effects) && readFileSync(effects, "utf8").includes(operationId)
        ? { type: "finished", result: { content: `${effect} done` } }
        : { type: "notStarted" },
  });
}

/**
 * Writes each entry on its own, so that the process can die between any two of them, which is more than happens to a real one: it
 * writes together what comes together.
 */
function mortal(store: Store, pass: (next: string) => void): Store {
  return {
    ...store,
    async append(sessionId, fence, entries, status) {
      let { head } = fence;
      for (const entry of entries) {
        pass(entry.type);
        const last = entry === entries.at(-1);
        await store.append(sessionId, { ...fence, head }, [entry], last ? status : "running");
        head = entry.id;
      }
    },
    async enqueue(...args) {
      const result = await store.enqueue(...args);
      pass("enqueued");
      return result;
    },
    async expire(limit) {
      const expired = await store.expire(limit);
      if (expired > 0) pass("expired");
      return expired;
    },
    async claim(sessionId) {
      const lease = await store.claim(sessionId);
      pass("claimed");
      return lease;
    },
  };
}

/** Whoever is asked answers now or the next time. Somebody else, or time, may have been first. */
async function answerSome({ sessions }: Runtime, { role, answers }: NodePlan): Promise<void> {
  for (const { id, sessionId, request } of await sessions.interrupts({ status: "open", limit: 1_000 })) {
    if (role === "answer" && Math.random() < 0.5) continue;
    if (!("call" in request)) continue;
    const { amount } = z.object({ amount: z.number() }).parse(request.call.input);
    const answer = answerFor(sessionId, amount, answers);
    if (answer !== null) await sessions.answer(sessionId, id, answer, { actor: role }).catch(unlessLate);
  }
}

function unlessLate(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "conflict")) throw error;
}

async function isDone({ sessions }: Runtime): Promise<boolean> {
  return (await sessions.list({ limit: 1_000 })).every(({ status }) => status === "idle");
}
