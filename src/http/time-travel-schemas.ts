import { z } from "zod";
import type { Comparison, Rewound, SessionTree, TreePoint } from "../run/time-travel/time-travel.ts";
import { usageSchema } from "./content-schemas.ts";
import { workspaceOriginSchema } from "./entry-schemas.ts";
import { messageSchema, sessionIdSchema, sessionSchema, sessionStatusSchema } from "./schemas.ts";

/** What is asked and answered where sessions are forked, moved back, looked at as trees, and compared. */

const entryRef = z.union([z.int().min(1), z.string().min(1).max(256)]).meta({
  description:
    "An entry: its id or the beginning of it, its number (12 or `#12`), or `~1` for what stood before the last message, `~2` before the last but one.",
  examples: ["#12", "~1"],
});

export const forkSchema = z
  .strictObject({
    at: z.exactOptional(entryRef),
    keepFiles: z.exactOptional(
      z.boolean().meta({
        description:
          "Begin with the files as they are now, instead of as they were at that entry. Default: where no entry is named.",
      }),
    ),
    id: z.exactOptional(sessionIdSchema),
    title: z.exactOptional(z.string().max(500)),
    message: z.exactOptional(messageSchema),
  })
  .meta({ id: "Fork" });

export const rewindSchema = z
  .strictObject({
    to: entryRef,
    keepFiles: z.boolean().default(false).meta({ description: "Leave the files as they are." }),
    actor: z.exactOptional(z.string().min(1).max(256).meta({ description: "Who does it, for the record." })),
  })
  .meta({ id: "Rewind" });

const place = z.strictObject({ entryId: z.string(), seq: z.int() });

export const forkedSchema = z
  .strictObject({
    session: sessionSchema,
    at: place,
    files: workspaceOriginSchema,
    messageId: z.string().nullable(),
  })
  .meta({ id: "Forked" });

export const rewoundSchema = z
  .strictObject({
    session: sessionSchema,
    to: place,
    from: place.meta({ description: "The end of the branch that was left: the place to go back to." }),
    files: workspaceOriginSchema,
    kept: z.exactOptional(
      z.array(z.strictObject({ path: z.string(), why: z.string() })).meta({
        description: "Files that stayed as they are, since no snapshot holds them. At most 100; told once.",
      }),
    ),
  })
  .meta({ id: "Rewound" }) satisfies z.ZodType<Rewound>;

const wholeNumber = (smallest: number, largest: number) => z.coerce.number().int().min(smallest).max(largest);

export const treeQuerySchema = z.strictObject({
  before: z.exactOptional(
    wholeNumber(1, Number.MAX_SAFE_INTEGER).meta({ description: "Only points with a smaller `seq`." }),
  ),
  limit: wholeNumber(1, 1000).default(200).meta({ description: "Points, the latest ones." }),
});

const point = z.strictObject({
  ...place.shape,
  at: z.int(),
  kind: z.enum(["message", "answer", "question", "decision", "files", "start"]),
  text: z.string(),
}) satisfies z.ZodType<TreePoint>;

const spending = { turns: z.int(), costUsd: z.number(), unpricedCalls: z.int() };

export const treeSchema = z
  .strictObject({
    sessionId: z.string(),
    head: place,
    forkedFrom: z.strictObject({ sessionId: z.string(), entryId: z.string() }).nullable(),
    branches: z.array(
      z.strictObject({
        sessionId: z.string().meta({ description: "Whose log it stands in." }),
        from: place.nullable().meta({ description: "The entry that it goes on from; null for the first." }),
        first: place,
        last: place,
        startedAt: z.int(),
        endedAt: z.int(),
        isHead: z.boolean().meta({ description: "The session stands on it." }),
        onPathUpTo: z
          .int()
          .nullable()
          .meta({ description: "Up to which entry it is part of the session's path; null where it is not." }),
        messages: z.int(),
        ...spending,
        points: z.array(point).meta({ description: "Places where one would fork." }),
      }),
    ),
    forks: z.array(
      z.strictObject({
        sessionId: z.string(),
        at: z.string().meta({ description: "The entry behind which it begins." }),
        seq: z
          .int()
          .nullable()
          .meta({ description: "Its number; null where it came after the log was read." }),
        title: z.string().nullable(),
        status: sessionStatusSchema,
        ...spending,
        createdAt: z.int(),
        updatedAt: z.int(),
      }),
    ),
    earlierPoints: z.int().meta({ description: "How many points stand before the first that is shown." }),
  })
  .meta({ id: "SessionTree" }) satisfies z.ZodType<SessionTree>;

const side = z.strictObject({
  sessionId: z.string(),
  head: place,
  status: sessionStatusSchema,
  lastRunEnd: z.string().nullable(),
  entries: z.int(),
  ...spending,
  usage: usageSchema,
  durationMs: z.number(),
  messages: z.array(z.strictObject({ from: z.enum(["user", "model"]), at: z.int(), text: z.string() })),
  calls: z.array(z.strictObject({ name: z.string(), outcome: z.string(), count: z.int() })),
});

export const comparisonSchema = z
  .strictObject({
    common: place.nullable().meta({ description: "The last entry that both have." }),
    one: side,
    other: side,
    files: z
      .strictObject({
        changes: z.array(
          z.strictObject({
            path: z.string(),
            change: z.enum(["added", "removed", "changed"]),
            diff: z
              .string()
              .nullable()
              .meta({ description: "Unified; null where it is no text, or too long." }),
          }),
        ),
        omitted: z.int(),
        skipped: z.int(),
      })
      .nullable()
      .meta({ description: "From the files of the one to those of the other, as they are now." }),
  })
  .meta({ id: "Comparison" }) satisfies z.ZodType<Comparison>;
