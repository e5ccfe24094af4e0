import { defineTool } from "holdfast";
import { z } from "zod";
import { payBack } from "../../support/bank.ts";

const where = {
  type: "object",
  properties: { to: { enum: ["card", "voucher"], description: "which of the two" } },
  required: ["to"],
};

export const refund = defineTool({
  name: "refund",
  description: "Pays money for an order back. Only after the customer has said what was wrong with it.",
  input: z.object({ order: z.string(), amount: z.number().positive() }),
  effect: "keyed", // after a crash, or an answer, it is called again with the same operationId
  parallel: true, // one refund has nothing to do with another
  risk: ({ amount }) => ({
    reversibility: "irreversible",
    reach: "outside",
    why: [`${amount} dollars leave the shop`],
  }),
  async run({ order, amount }, { operationId, ask }) {
    if (amount <= 100) return payBack(order, amount, operationId);
    // While nobody has answered nothing runs and nothing is held. Ask before doing anything that must not be done twice.
    const answer = await ask({
      message: `Order ${order} was paid in two ways. Where is the money to go?`,
      schema: where,
    });
    if (answer.type !== "answered")
      return { content: `Nobody has said where the money is to go.`, isError: true };
    const { to } = z.object({ to: z.string() }).parse(answer.value);
    return `${payBack(order, amount, operationId)}, to the ${to}`;
  },
});
