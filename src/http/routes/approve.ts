import { z } from "zod";
import { AppError, isAppError } from "../../lib/errors.ts";
import { withoutUndefined } from "../../lib/json.ts";
import type { ApprovalLink } from "../../run/approvals/link.ts";
import type { InterruptRecord } from "../../run/session/interrupts.ts";
import type { Sessions } from "../../run/session/sessions.ts";
import { messagePage, questionPage, type Shown } from "../approval/approval.ts";
import { answerOfForm } from "../approval/forms.ts";
import { PAGE_HEADERS } from "../approval/style.ts";
import { readForm } from "../body.ts";
import type { HttpDeps } from "../deps.ts";
import { statusOf, toWireError } from "../errors.ts";
import { type Call, defineRoute, type Route } from "../route.ts";
import { JSON_BYTES } from "../schemas.ts";

const linkParams = z.object({ token: z.string().min(1).max(4_096) });

const formSchema = z.strictObject({
  action: z.string(),
  feedback: z.exactOptional(z.string()),
  input: z.exactOptional(z.string().meta({ description: "JSON." })),
  value: z.exactOptional(z.string()),
  note: z.exactOptional(z.string()),
  limitUsd: z.exactOptional(z.string()),
});

const page = { "text/html": z.string() };
const pages = {
  200: { description: "The question, and what was answered.", content: page },
  404: { description: "The link is not one of this server's, or its question is gone.", content: page },
  410: { description: "The link has ended.", content: page },
};

/** The page behind a signed link. Looking at it changes nothing: mail is read by programs that follow links. */
export function approveRoutes(deps: HttpDeps): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/approve/{token}",
      operationId: "showQuestion",
      summary: "The page of a link that was sent to somebody who may answer a question",
      description: "The link is the credential: no token is asked for.",
      public: "link",
      params: linkParams,
      responses: pages,
      handle: ({ params }) => orProblem(deps, () => show(deps, params.token)),
    }),

    defineRoute({
      method: "post",
      path: "/v1/approve/{token}",
      operationId: "answerByLink",
      summary: "What the page's buttons send: the answer of the person to whom the link was sent",
      public: "link",
      params: linkParams,
      formBody: formSchema,
      responses: { ...pages, 409: { description: "It was answered before, or has changed.", content: page } },
      handle: ({ params }, c) => orProblem(deps, () => answer(deps, params.token, c)),
    }),
  ];
}

async function show(deps: HttpDeps, token: string): Promise<Response> {
  return respond(questionPage(await openLink(deps, token)));
}

async function answer(deps: HttpDeps, token: string, c: Call): Promise<Response> {
  const shown = await openLink(deps, token);
  const { record } = shown;
  const typed = await readForm(c.req.raw, JSON_BYTES, c.get("bodies"));
  try {
    const given = answerOfForm(record.request, typed);
    const options = withoutUndefined({ actor: shown.actor ?? undefined, channel: "link" });
    const answered = await deps.sessions.answer(record.sessionId, record.id, given, options);
    const notice =
      answered.status === "open"
        ? "Your approval counts. Others have to approve it, too."
        : "Done. You can close this page.";
    return respond(questionPage({ ...shown, record: answered, notice }));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const notice = [error.message, error.hint].filter((text) => text !== undefined).join("\n");
    const now = isAppError(error, "conflict") ? await currently(deps.sessions, record) : record;
    return respond(questionPage({ ...shown, record: now, notice, typed }), statusOf[error.code]);
  }
}

/** @throws AppError `not_found` for a link that is not ours, or leads nowhere; `Ended` for one that was. */
async function openLink({ links, clock, sessions }: HttpDeps, token: string): Promise<Shown> {
  const link = links?.read(token);
  if (link === undefined) {
    throw new AppError("not_found", "This link is not one of this server's.", {
      hint: "Was all of it copied? Ask for a new one otherwise.",
    });
  }
  const [record] = await sessions.interrupts({ sessionId: link.sessionId, id: link.interruptId });
  if (record === undefined) throw new AppError("not_found", "There is no such question any more.");
  // What became of the question may be looked at for longer.
  if (record.status === "open" && clock.now() >= link.expiresAt) throw new Ended();
  return { record, actor: link.actor, requester: await requesterOf(sessions, link) };
}

class Ended extends Error {}

async function currently(
  sessions: Sessions,
  { sessionId, id, ...record }: InterruptRecord,
): Promise<InterruptRecord> {
  const [now] = await sessions.interrupts({ sessionId, id });
  return now ?? { ...record, sessionId, id };
}

/** Far more than stand between a message and what is asked because of it. */
const LOOK_BACK = 1_000;

/** Who sent the latest message before the question, where they said so and it is not long ago. */
async function requesterOf(
  sessions: Sessions,
  { sessionId, interruptId }: ApprovalLink,
): Promise<string | null> {
  const { headSeq } = await sessions.get(sessionId);
  const entries = await sessions.entries(sessionId, Math.max(0, headSeq - LOOK_BACK), LOOK_BACK);
  const asked = entries.findIndex(
    (entry) => entry.type === "interrupted" && entry.interruptId === interruptId,
  );
  const message = entries.slice(0, Math.max(0, asked)).findLast((entry) => entry.type === "userMessage");
  return message?.actor ?? null;
}

function respond(body: string, status = 200): Response {
  return new Response(body, { status, headers: PAGE_HEADERS });
}

/** Whoever follows a link reads pages, not JSON. */
async function orProblem(deps: HttpDeps, make: () => Promise<Response>): Promise<Response> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof Ended) {
      return respond(
        messagePage(
          "This link has ended",
          "The time to answer is over. Where it still matters, it is asked anew.",
        ),
        410,
      );
    }
    const { error: wire } = toWireError(error, deps.onDefect);
    const text = [wire.message, wire.hint].filter((part) => part !== undefined).join(" ");
    return respond(messagePage("This cannot be answered here", text), statusOf[wire.code]);
  }
}
