import { createReadStream } from "node:fs";
import { setImmediate as others } from "node:timers/promises";
import { openRuntime } from "../../src/index.ts";

/** Imports a file, piece by piece, until it has, or is killed. */

const [, , dataDir = "", plan = "{}"] = process.argv;
const { file } = JSON.parse(plan) as { readonly file: string };

async function* slowly(): AsyncGenerator<Uint8Array> {
  for await (const piece of createReadStream(file, { highWaterMark: 16_384 })) {
    yield piece;
    await others();
  }
}

await using runtime = await openRuntime({ agents: [], work: "none", dataDir });
process.stdout.write("ready\n");
await runtime.sessions.import(slowly());
