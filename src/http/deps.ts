import type { AgentRegistry } from "../agents/registry.ts";
import type { Clock } from "../lib/clock.ts";
import type { LinkSigner } from "../run/approvals/link.ts";
import type { Sessions } from "../run/session/sessions.ts";
import type { BearerAuth } from "./auth.ts";
import type { DefectLog } from "./errors.ts";

/** What the API is made over. Only `sessions` and `agents` are required. */
export interface HttpOptions {
  /** All of them: for callers without a token, where none is needed. */
  readonly sessions: Sessions;
  /** Those of one tenant, for a caller with its token. Default: all. */
  readonly sessionsOf?: (tenant: string) => Sessions;
  readonly agents: AgentRegistry;
  /** Without it the server answers on this machine only (see `serve`). */
  readonly auth?: BearerAuth;
  /** Whether the server is about to end: whoever wants work done is then sent to another one. Default: never. */
  readonly draining?: () => boolean;
  /** Origins of web pages elsewhere that may call, for example "https://console.example.test". Default: none. */
  readonly allowedOrigins?: readonly string[];
  /** Reads the links that are sent to people who may answer questions. Without it there are none. */
  readonly links?: Pick<LinkSigner, "read">;
  /** Where uploads wait until they are whole. Default: the system's directory for temporary files. */
  readonly uploadDir?: string;
  /** Memory for JSON bodies that are being read, over all requests. More of them are answered with 503. Default 128 MiB. */
  readonly bodyBytes?: number;
  /** The largest file that may be imported as a session. Default 1 GiB. */
  readonly importBytes?: number;
  /** Default 15 seconds. */
  readonly heartbeatMs?: number;
  readonly version?: string;
  readonly clock?: Clock;
  /** Default: `console.error`. */
  readonly onDefect?: DefectLog;
}

/** The largest file that is imported where nothing else is set. */
export const IMPORT_BYTES = 2 ** 30;

/** What the routes work with: the options with every default filled in. */
export type HttpDeps = Required<
  Omit<HttpOptions, "auth" | "allowedOrigins" | "bodyBytes" | "links" | "sessionsOf" | "version">
> &
  Pick<HttpOptions, "links">;
