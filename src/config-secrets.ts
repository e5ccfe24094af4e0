import { DEFAULT_TENANT } from "./log/session-log.ts";

/** What of the environment is not for everybody to see: tokens, and what is signed with. */

export type Environment = Readonly<Record<string, string | undefined>>;

export interface BearerToken {
  /** Whoever sends it sees the sessions of this tenant. */
  readonly tenant: string;
  /** The person who has it. Absent: whoever sends it says who they are. */
  readonly actor?: string;
  readonly token: string;
}

const SHORTEST_TOKEN = 16;

/**
 * HOLDFAST_TOKEN is one token, HOLDFAST_TOKENS a list with commas: with both, a token can be replaced without a gap. Each
 * may have the name of a tenant before it, and that of a person: "acme=TOKEN", "acme/alice=TOKEN".
 */
export function tokensIn(env: Environment): readonly BearerToken[] {
  const listed = tokensOf(`${env.HOLDFAST_TOKEN ?? ""},${env.HOLDFAST_TOKENS ?? ""}`);
  // The token of a client on the same machine stands there a second time, without its name.
  const isNamed = ({ tenant, actor }: BearerToken) => tenant !== DEFAULT_TENANT || actor !== undefined;
  return listed.filter(
    (each) => isNamed(each) || !listed.some((other) => other.token === each.token && isNamed(other)),
  );
}

export function tokensOf(list: string): readonly BearerToken[] {
  const entries = list.split(",").map((entry) => entry.trim());
  return [...new Set(entries.filter((entry) => entry !== ""))].map((entry) => {
    // In base64, "=" stands at the end only.
    const [, tenant = DEFAULT_TENANT, actor, token = entry] =
      /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:\/([A-Za-z0-9][A-Za-z0-9._@+-]{0,127}))?=(?!=*$)(.*)$/.exec(
        entry,
      ) ?? [];
    return { tenant, ...(actor === undefined ? {} : { actor }), token };
  });
}

/** Complaints do not repeat the token. */
export function checkTokens(env: Environment, problems: string[]): void {
  const named = tokensIn(env);
  const tokens = named.map(({ token }) => token);
  if (new Set(tokens).size < tokens.length) {
    problems.push("a token in HOLDFAST_TOKEN or HOLDFAST_TOKENS belongs to more than one tenant or person");
  }
  if (tokens.some((token) => token.length < SHORTEST_TOKEN)) {
    problems.push(
      `a token in HOLDFAST_TOKEN or HOLDFAST_TOKENS has fewer than ${SHORTEST_TOKEN} characters: make one with \`openssl rand -hex 32\``,
    );
  }
  if (tokens.some((token) => !/^[\x21-\x7e]+$/.test(token))) {
    problems.push("a token in HOLDFAST_TOKEN or HOLDFAST_TOKENS holds spaces or characters beyond ASCII");
  }
}

export interface Secrets {
  /** Of links with which people answer questions. */
  readonly links: string | undefined;
  /** Of what webhooks are sent. */
  readonly webhooks: string | undefined;
}

export function secretsIn(env: Environment): Secrets {
  const set = (name: string) => env[name]?.trim() || undefined;
  return { links: set("HOLDFAST_SECRET"), webhooks: set("HOLDFAST_WEBHOOK_SECRET") };
}

const SHORTEST_SECRET = 32;
/** 24 bytes in base64: what Standard Webhooks asks for at least. */
const WEBHOOK_SECRET = /^whsec_(?=.{32})[A-Za-z0-9+/]+={0,2}$/;

/** Complaints do not repeat a secret. */
export function checkSecrets(env: Environment, problems: string[]): void {
  const { links, webhooks } = secretsIn(env);
  if (links !== undefined && links.length < SHORTEST_SECRET) {
    problems.push(
      `HOLDFAST_SECRET has fewer than ${SHORTEST_SECRET} characters: make one with \`openssl rand -hex 32\``,
    );
  }
  if (webhooks !== undefined && !WEBHOOK_SECRET.test(webhooks)) {
    problems.push(
      'HOLDFAST_WEBHOOK_SECRET is not "whsec_" and at least 24 bytes in base64: make one with `echo whsec_$(openssl rand -base64 32)`',
    );
  }
}
