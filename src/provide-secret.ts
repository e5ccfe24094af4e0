import { link, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { AppError, systemErrorCode } from "./lib/errors.ts";
import { newId, newSecret } from "./lib/ids.ts";

/**
 * The secret with which links are signed: HOLDFAST_SECRET, or one that is made once and kept in the data directory, readable by
 * its owner only, so that all processes there have the same and links survive restarts.
 */
export async function provideLinkSecret(
  config: Pick<Config, "linkSecret">,
  dataDir: string,
): Promise<string> {
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
