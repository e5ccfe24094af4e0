import { link, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { AppError, systemErrorCode } from "./lib/errors.ts";
import { newId, newSecret } from "./lib/ids.ts";
import { createLinkSigner, type LinkSigner } from "./run/approvals/link.ts";
import { createNotifier, type Notifier, type NotifierOptions } from "./run/worker/notifier.ts";

export interface NoticeSources extends Omit<NotifierOptions, "links" | "secret"> {
  readonly config: Pick<Config, "linkSecret" | "webhookSecret">;
  readonly dataDir: string;
}

/**
 * The links with which people answer, and what sends them to the webhooks of agents, where one has any.
 * @throws AppError `invalid_config` for a webhook and no secret to sign what it is sent.
 */
export async function provideNotices({ config, dataDir, ...options }: NoticeSources): Promise<{
  readonly links: LinkSigner;
  readonly notifier?: Notifier;
}> {
  const links = createLinkSigner(await provideLinkSecret(config, dataDir));
  const told = options.agents.list().find(({ approvals }) => approvals.webhook !== null);
  if (told === undefined) return { links };
  const secret = config.webhookSecret();
  if (secret !== undefined) return { links, notifier: createNotifier({ ...options, links, secret }) };
  throw new AppError(
    "invalid_config",
    `the agent "${told.name}" has a webhook (approvals.webhook), and there is no secret to sign what it is sent`,
    {
      hint: "Make one, and give it to whoever receives, to check the signature with:\n  export HOLDFAST_WEBHOOK_SECRET=whsec_$(openssl rand -base64 32)",
    },
  );
}

/**
 * The secret with which links are signed: HOLDFAST_SECRET, or one that is made once and kept in the data directory, readable by
 * its owner only, so that all processes there have the same and links survive restarts.
 */
async function provideLinkSecret(config: Pick<Config, "linkSecret">, dataDir: string): Promise<string> {
  const given = config.linkSecret();
  if (given !== undefined) return given;
  const path = join(dataDir, "secret");
  return (await kept(path)) ?? (await make(path));
}

async function kept(path: string): Promise<string | undefined> {
  try {
    const secret = (await readFile(path, "utf8")).trim();
    if (secret.length >= 32) return secret;
    throw new AppError("corrupt", `${path} does not hold the secret that links are signed with`, {
      hint: "Remove it: a new one is made, and links that were sent stop working.",
    });
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** It appears whole or not at all, and where several processes make one at once, all take the first. */
async function make(path: string): Promise<string> {
  const draft = `${path}-${newId("draft")}`;
  const secret = newSecret();
  await writeFile(draft, `${secret}\n`, { mode: 0o600, flag: "wx", flush: true });
  try {
    await link(draft, path);
    return secret;
  } catch (error) {
    if (systemErrorCode(error) !== "EEXIST") throw error;
    return (await kept(path)) ?? make(path);
  } finally {
    await unlink(draft);
  }
}
