import { z } from "zod";

/** The same in all processes of a test: an approval is bound to it. */
export const refundSchema = z.object({ order: z.string(), amount: z.number() });
