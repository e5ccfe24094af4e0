import { type Config, readConfig } from "../config.ts";
import { type Client, createClient } from "../http/client.ts";
import type { Terminal } from "./terminal.ts";

/** The server that an option or the environment names. */
export function connect(
  url: string | undefined,
  { env }: Terminal,
): { readonly client: Client; readonly config: Config } {
  const config = readConfig(url === undefined ? {} : { url }, env);
  const token = config.clientToken();
  const client = createClient({ url: config.serverUrl, ...(token === undefined ? {} : { token }) });
  return { client, config };
}
