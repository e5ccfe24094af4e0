import type { Script } from "../../src/testing/testing.ts";

/**
 * Every kind of effect alone, then all in one answer, then the answer. The pieces come one by one, so that calls start while
 * what stands behind them is still being written.
 */
const kinds = ["readonly", "idempotent", "keyed", "reconcile", "once"];

export const script: Script = {
  defaults: { delayMs: 1 },
  turns: [
    ...kinds.map((name) => ({ text: `Now ${name}.`, calls: [{ tool: name, input: { amount: 1 } }] })),
    { calls: kinds.map((name) => ({ tool: name, input: { amount: 2 } })) },
    { text: "All done." },
  ],
};
