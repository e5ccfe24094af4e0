/** One node of the crash test of approvals, as a process. Told so, it kills itself at a chosen point. */
import { live, type NodePlan } from "./approvals-world.ts";

const [dataDir = "", argument = "{}"] = process.argv.slice(2);
const plan = JSON.parse(argument) as NodePlan;
const passed: string[] = [];

await live(dataDir, plan, {
  pass(next) {
    passed.push(next);
    if (passed.length === plan.dieAt) process.kill(process.pid, "SIGKILL");
  },
  ready: () => process.stdout.write("ready\n"),
});
process.stdout.write(`passed ${passed.join(" ")}\n`);
