import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Case, type Context, cases, type Figure } from "./cases.ts";
import { start } from "./measure.ts";

/**
 * `npm run bench`: what Holdfast costs, beside what the work costs at least, against the goals.
 *
 *     npm run bench -- --case turns --case stream --rounds 9
 *     npm run bench -- --case turns --profile      writes .cpuprofile files beside the results
 */
const { values } = parseArgs({
  options: {
    case: { type: "string", multiple: true },
    rounds: { type: "string", default: "5" },
    profile: { type: "boolean", default: false },
  },
});
const folder = fileURLToPath(new URL("./results", import.meta.url));
mkdirSync(folder, { recursive: true });
const chosen = chooseCases(values.case);

await using models = start("./model-server.ts", []);
const { port } = await models.next<{ port: number }>();
const context: Context = {
  url: `http://127.0.0.1:${port}`,
  rounds: Number(values.rounds),
  options: values.profile ? { nodeArgs: ["--cpu-prof", `--cpu-prof-dir=${folder}`] } : {},
};

const results: object[] = [];
console.log(`Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model ?? "?"}\n`);
for (const item of chosen) {
  console.log(item.title);
  const figures = await figuresOf(item);
  if (typeof figures === "string") console.log(`  failed: ${figures}`);
  else for (const figure of figures) console.log(`  ${lineFor(figure)}`);
  console.log();
  results.push(
    typeof figures === "string" ? { case: item.name, error: figures } : { case: item.name, figures },
  );
}

const file = `${folder}/${new Date().toISOString().replaceAll(":", "-").slice(0, 19)}.json`;
const machine = { node: process.versions.node, cpus: cpus().map(({ model }) => model) };
writeFileSync(file, `${JSON.stringify({ machine, rounds: context.rounds, results }, null, 2)}\n`);
console.log(file);

function chooseCases(names: readonly string[] | undefined): readonly Case[] {
  if (names === undefined) return cases;
  return names.map((name) => {
    const found = cases.find((item) => item.name === name);
    if (found === undefined) {
      console.error(`no case is named "${name}"; there are: ${cases.map((item) => item.name).join(", ")}`);
      process.exit(2);
    }
    return found;
  });
}

/** One case that fails does not take the others with it. */
async function figuresOf(item: Case): Promise<readonly Figure[] | string> {
  try {
    return await item.run(context);
  } catch (error) {
    process.exitCode = 1;
    return error instanceof Error ? error.message : String(error);
  }
}

function lineFor({ what, unit, value, floor, goal }: Figure): string {
  const figure = (n: number) => `${n.toFixed(Math.abs(n) >= 100 ? 0 : 2)} ${unit}`;
  const floorText = floor === undefined ? "" : `floor ${figure(floor)}`;
  const goalText = goal === undefined ? "" : `goal ${figure(goal)}  ${value <= goal ? "met" : "NOT MET"}`;
  return `${what.padEnd(56)}${figure(value).padStart(12)}  ${floorText.padEnd(18)}${goalText}`.trimEnd();
}
