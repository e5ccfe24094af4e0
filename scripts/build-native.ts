import { buildAgent } from "../src/sandboxes/process/agent-binary.ts";

/** Builds the agent of the process sandbox for this machine, when its sources have changed: `node scripts/build-native.ts`. */
console.log(await buildAgent());
