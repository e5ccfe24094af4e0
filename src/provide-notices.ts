import type { Config } from "./config.ts";
import { AppError } from "./lib/errors.ts";
import { provideLinkSecret } from "./provide-secret.ts";
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
