import { defineTool } from "holdfast";
import { z } from "zod";

export const closeOrder = defineTool({
  name: "close_order",
  description: "Closes an order for good, when everything about it is settled.",
  input: z.object({ order: z.string() }),
  effect: "idempotent",
  run: ({ order }) => `order ${order} is closed`,
});
