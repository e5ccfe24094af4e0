/**
 * Writes the log of one session in which people, rules and a classifier decide about calls, and whose head moves, as this release
 * writes it; at its end a question is open:
 *
 *     node scripts/record-approvals-log.ts test/fixtures/logs/NAME.jsonl
 *
 * What stands at the top of `record-log.ts` holds for it, too.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { defineTool, type InterruptAnswer, openRuntime } from "../src/index.ts";
import { createFakeClock, createScriptedModel, type Script } from "../src/testing/testing.ts";

const [file = ""] = process.argv.slice(2);
const refunding = (order: string, amount: number) => ({ tool: "refund", input: { order, amount } });

const script: Script = {
  turns: [
    {
      when: { classification: true },
      text: '{"decision": "allow", "reason": "the user asked for it"}',
      times: "any",
    },
    {
      when: { user: "Pay both", step: 1 },
      calls: [
        { tool: "look_up", input: { order: "A1" } },
        refunding("A1", 90),
        { tool: "look_up", input: { order: "A2" } },
        refunding("A2", 40),
      ],
    },
    {
      when: { user: "Note it", step: 1 },
      calls: [{ tool: "write", input: { path: "notes.txt", content: "A1" } }],
    },
    { when: { user: "Decide", step: 1 }, calls: [refunding("A3", 7)] },
    { when: { user: "Plan", step: 1 }, calls: [refunding("A4", 8)] },
    { when: { user: "Lend", step: 1 }, calls: [{ tool: "lend", input: { amount: 5 } }] },
    { when: { user: "Wait", step: 1 }, calls: [refunding("A5", 60)], times: 2 },
    { text: "Done.", times: "any" },
  ],
};

const refund = defineTool({
  name: "refund",
  description: "Pays an order back.",
  input: z.object({ order: z.string(), amount: z.number() }),
  effect: "keyed",
  run: ({ amount }) => `refunded ${amount}`,
});

const lookUp = defineTool({
  name: "look_up",
  description: "Looks up an order.",
  input: z.object({ order: z.string() }),
  effect: "readonly",
  run: ({ order }) => `${order} was paid`,
});

const lend = defineTool({
  name: "lend",
  description: "Asks to whom, then lends.",
  input: z.object({ amount: z.number() }),
  run: async ({ amount }, { ask }) => {
    const answer = await ask({ message: "To whom?" });
    return answer.type === "answered" ? `lent ${amount} to ${String(answer.value)}` : "lent nothing";
  },
});

const dataDir = mkdtempSync(join(tmpdir(), "holdfast-record-"));
const clock = createFakeClock(Date.UTC(2026, 2, 2, 9));
const model = createScriptedModel(script, { id: "scripted/till" });
await using runtime = await openRuntime({
  agents: [
    {
      name: "till",
      systemPrompt: "You keep the till.",
      model: { id: "scripted/till", prices: { input: 1, output: 10 } },
      sandbox: { isolation: "none" },
      tools: [refund, lookUp, lend],
      approvals: { quorum: 2, expiresAfter: "4h", onExpire: "askAgain" },
    },
  ],
  dataDir,
  clock,
  models: () => model,
});
const { sessions } = runtime;
const id = "till";
const session = await runtime.session({ id });

async function until(status: string): Promise<void> {
  while ((await sessions.get(id)).status !== status) await sleep(5);
}

async function say(text: string, status = "idle"): Promise<void> {
  await session.send(text, { actor: "eve" });
  await until(status);
}

async function answer(kind: InterruptAnswer, actors: readonly string[]): Promise<void> {
  const [open] = (await sessions.interrupts({ sessionId: id, status: "open" })).toReversed();
  await clock.advance(60_000);
  for (const actor of actors) await sessions.answer(id, open?.id ?? "", kind, { actor, channel: "cli" });
}

await say("Pay both.", "waiting");
await answer({ action: "approve" }, ["ada", "bob"]);
await until("waiting");
await answer({ action: "reject", feedback: "It was not delivered." }, ["ada"]);
await until("idle");
await sessions.addRule(id, { scope: "session", list: "allow", rule: "write(notes.txt)" });
await say("Note it.");
await session.setMode("auto");
await say("Decide.");
await session.setMode("plan", "ada");
await say("Plan.");
await session.setMode("default", "ada");
await say("Lend.", "waiting");
await answer({ action: "approve" }, ["ada", "bob"]);
await until("waiting");
await answer({ action: "respond", value: "Bob" }, ["ada"]);
await until("idle");
// Nobody answers; then it is as if it had not been said.
await say("Wait.", "waiting");
const before = (await sessions.get(id)).headSeq;
await clock.advance(4 * 3_600_000);
while ((await sessions.get(id)).headSeq < before + 3) await sleep(5);
await until("waiting");
await sessions.rewind(id, { to: "~1", actor: "ada" });
await say("Wait.", "waiting");

const entries = await sessions.entries(id, 0, 10_000);
writeFileSync(file, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""), { flag: "wx" });
process.stdout.write(
  `${entries.length} entries: ${[...new Set(entries.map(({ type }) => type))].join(" ")}\n`,
);
rmSync(dataDir, { recursive: true, force: true });
process.exit();
