import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Entry, openRuntime, type Runtime } from "../src/index.ts";
import { setUp } from "./setup.ts";

/**
 * `npm run demo`: the analyst of examples/analyst at work, through the command line that users have.
 * `npm run demo -- --kill`: the same, with SIGKILL in the middle of a command, a second start, and the proof from the log
 * that nothing was done twice.
 */
const usage = `Usage: npm run demo [-- --kill]

  --kill  end the runtime with SIGKILL in the middle of a command, start it again, and prove that nothing was done twice`;
const options = readOptions();

const repository = fileURLToPath(new URL("..", import.meta.url));
const AGENT = join(repository, "examples", "analyst");
const MAIN = join(repository, "src", "cli", "main.ts");
const DATA_DIR = join(repository, ".holdfast", "demo");
const PROMPT =
  "Find what is odd in sales.csv. Write report.md with a chart, chart.svg, that marks every anomaly, and tell me the three largest.";
/** A call that takes this long is one to pull the plug on. */
const LONG_CALL_MS = 1_000;

// Ctrl-C reaches the runtime by itself, which stops cleanly; this process waits for that.
process.on("SIGINT", () => {});

setUp();
const sessionId = `demo-${Date.now().toString(36)}`;
process.exitCode = options.kill ? await demonstrateKill() : await exitOf(holdfast(PROMPT));
await using reader = await readLog();
if (options.kill) await proveFromLog(reader);
showFiles(reader);
// A sandbox outlives the runtime on purpose; nobody will come back to this one.
await (await reader.sessions.sandbox(sessionId).catch(() => undefined))?.destroy();

/** Ends the process where the words are not understood, or ask for help. */
function readOptions(): { readonly kill: boolean } {
  try {
    const { values } = parseArgs({
      options: { kill: { type: "boolean", default: false }, help: { type: "boolean", short: "h" } },
    });
    if (values.help !== true) return values;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}

async function demonstrateKill(): Promise<number> {
  const child = holdfast(PROMPT);
  const ended = exitOf(child);
  const struck = await Promise.race([whenCallIsUnderWay(), ended.then(() => undefined)]);
  if (struck === undefined) {
    say("the run ended before a command took long enough to be interrupted");
    return ended;
  }
  child.kill("SIGKILL");
  await ended;
  say(
    `SIGKILL to the runtime (process ${child.pid}) in the middle of a ${struck} command. Starting it again:`,
  );
  return exitOf(holdfast());
}

/** The real program, on a session of ours; without a prompt it takes up what is unfinished. */
function holdfast(prompt?: string): ChildProcess {
  // Options, not variables: so they stand in the command that it names for going on.
  const args = ["run", "--agent", AGENT, "--data-dir", DATA_DIR, "--session", sessionId];
  return spawn(process.execPath, [MAIN, ...args, ...(prompt === undefined ? [] : [prompt])], {
    stdio: ["ignore", "inherit", "inherit"],
  });
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/** Resolves with the tool's name as soon as the log has a call that started some time ago and has no result. */
async function whenCallIsUnderWay(): Promise<string> {
  await using reader = await readLog();
  for (;;) {
    await sleep(50);
    const entries = await reader.sessions.entries(sessionId).catch((): readonly Entry[] => []);
    const call = entries.findLast((entry) => entry.type === "toolStarted");
    const finished = entries.some((entry) => entry.type === "toolFinished" && entry.callId === call?.callId);
    if (call !== undefined && !finished && Date.now() - call.at > LONG_CALL_MS) return call.name;
  }
}

async function proveFromLog({ sessions, workspacePath }: Runtime): Promise<void> {
  const entries = await sessions.entries(sessionId);
  const resumed = entries.findIndex((entry) => entry.type === "runResumed");
  if (resumed < 0) return;
  const interrupted = openCallBefore(entries, resumed);
  const starts = entries.filter((e) => e.type === "toolStarted" && e.callId === interrupted?.callId);
  const result = entries.find((e) => e.type === "toolFinished" && e.callId === interrupted?.callId);
  const gaps = entries.filter((entry, i) => entry.seq !== i + 1).length;
  say("What the log says:");
  console.log(`  entries            ${entries.length}, numbered without gaps: ${gaps === 0 ? "yes" : "NO"}`);
  console.log(`  run taken up at    entry ${entries[resumed]?.seq}, by another process`);
  console.log(
    `  interrupted call   ${interrupted?.name} ${interrupted?.callId}, operation ${interrupted?.operationId}`,
  );
  console.log(`  started            ${times(starts.length)}`);
  if (result?.type === "toolFinished") {
    console.log(`  its result         ${result.outcome}`);
  }
  const marks = await linesOf(join(workspacePath(sessionId), "scan.log"));
  if (marks > 0) console.log(`  scan.log           the command itself noted its start ${times(marks)}`);
}

function openCallBefore(
  entries: readonly Entry[],
  index: number,
): Extract<Entry, { type: "toolStarted" }> | undefined {
  const before = entries.slice(0, index);
  const finished = new Set(before.flatMap((e) => (e.type === "toolFinished" ? [e.callId] : [])));
  return before.filter((e) => e.type === "toolStarted").findLast((e) => !finished.has(e.callId));
}

function showFiles({ workspacePath }: Runtime): void {
  const files = ["report.md", "chart.svg"].map((name) => join(workspacePath(sessionId), name));
  const there = files.filter((file) => existsSync(file));
  if (there.length > 0) say("Results:");
  for (const file of there) console.log(`  ${relative(process.cwd(), file)}`);
}

/** Reads what the runtime wrote, and works on nothing. */
function readLog(): Promise<Runtime> {
  return openRuntime({ agents: [AGENT], dataDir: DATA_DIR, work: "none" });
}

async function linesOf(file: string): Promise<number> {
  if (!existsSync(file)) return 0;
  return (await readFile(file, "utf8")).split("\n").length - 1;
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

function say(text: string): void {
  console.log(`\n${text}`);
}
