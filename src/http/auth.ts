import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { AppError } from "../lib/errors.ts";
import { DEFAULT_TENANT } from "../log/session-log.ts";
import type { HttpEnv } from "./route.ts";

/** Who may call. Only hashes are kept, so that neither the configuration nor a memory dump holds a usable token. */
export interface BearerAuth {
  readonly tokens: readonly KnownToken[];
}

export interface KnownToken {
  /** SHA-256, in lower-case hex (`hashToken`). */
  readonly hash: string;
  /** Whose sessions its sender may see and use. Default: those that belong to nobody in particular. */
  readonly tenant?: string;
  /** The person who has it: nobody else can act with it. Default: whoever its sender says. */
  readonly actor?: string;
}

export function hashToken(token: string): string {
  return sha256(token).toString("hex");
}

/**
 * Lets a request pass whose `Authorization: Bearer` token is known, and notes whose it is.
 * @throws AppError `invalid_config` when there is no hash, or one that is not a SHA-256.
 */
export function requireBearer(auth: BearerAuth): MiddlewareHandler<HttpEnv> {
  const known = auth.tokens.map(({ hash, tenant = DEFAULT_TENANT, actor }) => ({
    hash: parseHash(hash),
    tenant,
    actor,
  }));
  if (known.length === 0) {
    throw new AppError("invalid_config", "authentication is on, but there is no token", {
      hint: "Configure at least one token, for example the output of: openssl rand -hex 32",
    });
  }
  return async (c, next) => {
    const token = bearerToken(c);
    if (token === undefined) {
      throw new AppError("unauthorized", "this server wants a token", {
        hint: "Send the header Authorization: Bearer TOKEN. Holdfast's commands send what is in HOLDFAST_TOKEN.",
      });
    }
    const sender = senderOf(sha256(token), known);
    if (sender === undefined) {
      throw new AppError("unauthorized", "the token is not known to this server", {
        hint: "Send one that the server was started with. Holdfast's commands send what is in HOLDFAST_TOKEN.",
      });
    }
    c.set("tenant", sender.tenant);
    c.set("actor", sender.actor);
    return next();
  };
}

/**
 * Keeps web pages out. A page on another site may not call the API with its visitor's browser; and while the server has no
 * tokens, a name that was made to point at this machine (DNS rebinding) is not an address of it.
 */
export function refuseForeignPages(options: {
  readonly loopbackOnly: boolean;
  /** Origins (scheme, host and port) of pages that may call. */
  readonly allowedOrigins: readonly string[];
  /** Whether people come to an address by links from elsewhere, such as a mail. Default: to none. */
  readonly isLinked?: (path: string) => boolean;
}): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header("host") ?? new URL(c.req.url).host;
    if (options.loopbackOnly && !isLoopbackHost(host)) {
      throw new AppError("forbidden", `this server does not answer to the name "${host}"`, {
        hint: "Without authentication it answers to localhost, 127.0.0.1 and [::1] only. Configure a token to use other names.",
      });
    }
    if (options.isLinked?.(c.req.path) !== true && isForeignPage(c, host, options.allowedOrigins)) {
      throw new AppError("forbidden", "pages of other sites may not call this server", {
        hint: "Add the page's origin to the allowed origins of the server's configuration.",
      });
    }
    return next();
  };
}

/** Whether a Host header, or a name to listen on, is this machine under a name that only it can have. */
export function isLoopbackHost(host: string): boolean {
  // A bare IPv6 address has more than one colon and no port; in a Host header it stands in brackets.
  const name = (/^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host)?.slice(1).join("") ?? host).toLowerCase();
  return (
    name === "localhost" ||
    name.endsWith(".localhost") ||
    name === "::1" ||
    /^127(?:\.\d{1,3}){3}$/.test(name)
  );
}

function isForeignPage(c: Context, host: string, allowedOrigins: readonly string[]): boolean {
  const origin = c.req.header("origin");
  if (origin !== undefined)
    return !allowedOrigins.includes(origin) && originHost(origin) !== host.toLowerCase();
  // Browsers send no Origin with a plain GET, for example of an image; they say where it comes from here.
  return c.req.header("sec-fetch-site") === "cross-site";
}

function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function bearerToken(c: Context): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(c.req.header("authorization") ?? "")?.[1];
}

/** Compares with every hash, each in constant time: how long it takes says nothing about which one was close. */
function senderOf<Known extends { readonly hash: Buffer }>(
  hash: Buffer,
  known: readonly Known[],
): Known | undefined {
  return known.filter((other) => timingSafeEqual(hash, other.hash))[0];
}

function parseHash(hash: string): Buffer {
  if (/^[0-9a-f]{64}$/.test(hash)) return Buffer.from(hash, "hex");
  throw new AppError("invalid_config", "a token hash is not a SHA-256 in lower-case hex", {
    hint: "Make one with: printf %s TOKEN | sha256sum",
  });
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
