import { AppError } from "../../lib/errors.ts";
import type { Terminal } from "../terminal.ts";

/** The bytes as they come, until Ctrl-C: whoever writes them then takes back what it has begun. @throws AppError `cancelled` */
export async function* untilInterrupted(
  bytes: AsyncIterable<Uint8Array>,
  terminal: Pick<Terminal, "interruption">,
): AsyncGenerator<Uint8Array> {
  const signal = terminal.interruption();
  for await (const piece of bytes) {
    if (signal.aborted) throw new AppError("cancelled", "interrupted: nothing was written");
    yield piece;
  }
}
