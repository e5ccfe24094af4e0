import { writeFileSync } from "node:fs";
import { harnessJsonSchema } from "../src/agents/harness.ts";

/** Writes `schema/harness.json` from the code. `src/agents/harness.test.ts` fails while the two differ. */
const file = new URL("../schema/harness.json", import.meta.url);
writeFileSync(file, `${JSON.stringify(harnessJsonSchema(), null, 2)}\n`);
