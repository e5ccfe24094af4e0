import { createHmac } from "node:crypto";

/** A message to somebody else's server, as Standard Webhooks says (https://www.standardwebhooks.com). */
export interface WebhookMessage {
  /** The same each time that it is sent, so that the other side can tell a repetition. */
  readonly id: string;
  readonly url: string;
  readonly body: string;
}

export interface WebhookOptions {
  /** "whsec_" and base64. */
  readonly secret: string;
  /** Of this attempt, milliseconds since 1970. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** - `gone`: the other side wants no more of it. - `failed`: it may be tried again. */
export type WebhookResult =
  | { readonly type: "delivered" }
  | { readonly type: "gone" | "failed"; readonly why: string };

const TIMEOUT_MS = 10_000;

/** Sends it once. Redirects are not followed: the address is the operator's choice, not that of whoever answers there. */
export async function sendWebhook(
  { id, url, body }: WebhookMessage,
  { secret, now, signal }: WebhookOptions,
): Promise<WebhookResult> {
  const timestamp = Math.floor(now / 1_000);
  const headers = {
    "content-type": "application/json",
    "user-agent": "holdfast",
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": `v1,${signatureOf(`${id}.${timestamp}.${body}`, secret)}`,
  };
  const limited = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal: limited });
    await response.body?.cancel();
    if (response.ok) return { type: "delivered" };
    return { type: response.status === 410 ? "gone" : "failed", why: `status ${response.status}` };
  } catch (error) {
    return { type: "failed", why: reasonOf(error) };
  }
}

function signatureOf(content: string, secret: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  return createHmac("sha256", key).update(content).digest("base64");
}

/** What Node says of a connection that could not be made is in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
