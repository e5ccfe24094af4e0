import { defineTool, openRuntime } from "holdfast";
import { z } from "zod";
import { payBack } from "./bank.ts";

const refund = defineTool({
  name: "refund",
  description: "Pays money for an order back. Only after the customer has said what was wrong with it.",
  input: z.object({ order: z.string(), amount: z.number() }),
  effect: "keyed", // after a crash it is called again, with the same operationId
  run: ({ order, amount }, { operationId }) => payBack(order, amount, operationId),
});

await using runtime = await openRuntime({
  agents: [
    {
      name: "support",
      systemPrompt: "You help customers of a shop.",
      tools: [refund],
      permissions: { allow: ["refund(amount<=50)"] }, // more than that waits for a person
    },
  ],
});
const session = await runtime.session();
for await (const event of await session.send("Order 4711, 30 dollars, arrived broken.")) {
  if (event.type === "textDelta") process.stdout.write(event.text);
}
