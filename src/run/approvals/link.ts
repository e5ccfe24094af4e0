import { createHmac, timingSafeEqual } from "node:crypto";
import type { InterruptRequest } from "../../log/entry.ts";
import type { InterruptRecord } from "../session/interrupts.ts";

/** What a link allows: to look at one question, and to answer it as one person. */
export interface ApprovalLink {
  readonly sessionId: string;
  readonly interruptId: string;
  /** Whom it was sent to; null: nobody in particular. */
  readonly actor: string | null;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Links as they are given out, and read again. Whoever has one needs nothing else. */
export interface LinkSigner {
  /** Of base64url characters and one dot. */
  sign(link: ApprovalLink): string;
  /** Undefined for whatever was not signed with this secret. That it has not expired is for the caller to look at. */
  read(token: string): ApprovalLink | undefined;
}

/** A path below the server's own address. */
export const LINK_PATH = "/v1/approve/";

/** Says what is signed, so that nothing else that is ever signed with the same secret passes for a link. */
const PURPOSE = "holdfast approval link 1\n";

export function createLinkSigner(secret: string): LinkSigner {
  const mac = (payload: string) => createHmac("sha256", secret).update(PURPOSE).update(payload).digest();
  return {
    sign({ sessionId, interruptId, actor, expiresAt }) {
      const fields = JSON.stringify([sessionId, interruptId, actor, expiresAt]);
      const payload = Buffer.from(fields).toString("base64url");
      return `${payload}.${mac(payload).toString("base64url")}`;
    },
    read(token) {
      const [payload = "", signature = "", ...rest] = token.split(".");
      const given = Buffer.from(signature, "base64url");
      const expected = mac(payload);
      if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) return;
      const [sessionId, interruptId, actor, expiresAt] = JSON.parse(
        Buffer.from(payload, "base64url").toString(),
      ) as [string, string, string | null, number];
      return { sessionId, interruptId, actor, expiresAt };
    },
  };
}

/**
 * Who is sent a link to a question: each of its approvers one of their own, or everybody the same one where anybody may answer.
 * Nobody where it matters who answers and nobody is named: such a link would say nothing of who has it. @pure
 */
export function linksOf({ id, sessionId, at, request }: InterruptRecord): readonly ApprovalLink[] {
  const link = { sessionId, interruptId: id, expiresAt: endOf(request, at) };
  const { approvers, excluded = [], quorum = 1 } = request;
  if (approvers !== undefined) {
    return approvers.filter((actor) => !excluded.includes(actor)).map((actor) => ({ ...link, actor }));
  }
  return excluded.length > 0 || quorum > 1 ? [] : [{ ...link, actor: null }];
}

/** Where a question has no end. */
const LONGEST_LINK_MS = 7 * 86_400_000;

function endOf({ expiresAt = Infinity, abandonAt = Infinity }: InterruptRequest, at: number): number {
  const end = Math.min(expiresAt, abandonAt);
  return Number.isFinite(end) ? end : at + LONGEST_LINK_MS;
}
