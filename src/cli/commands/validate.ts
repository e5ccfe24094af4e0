import { relative, resolve } from "node:path";
import type { LoadedAgent, LoadResult } from "../../agents/load.ts";
import { jsonOption, type RunnableCommand } from "../command.ts";
import { type ExitCode, exitCodes } from "../exit.ts";
import { printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";

export const validate: RunnableCommand = {
  name: "validate",
  summary: "check agents and explain each mistake",
  arguments: [{ syntax: "[path...]", description: "folders or harness.json files (default: this folder)" }],
  options: [jsonOption],
  examples: [
    { command: "holdfast validate my-agent", explanation: "exit code 0: fit to run, 3: there are mistakes" },
    {
      command: "holdfast validate agents/* --json",
      explanation: "every agent, every mistake: file, field, line, message, hint",
    },
  ],
  async run(input, terminal) {
    const given = input.list("path");
    const results = await loadAll(given.length === 0 ? ["."] : given, terminal);
    return input.flag("json") ? printAsJson(results, terminal) : printAsText(results, terminal);
  },
};

async function loadAll(paths: readonly string[], terminal: Terminal): Promise<readonly LoadResult[]> {
  const { loadAgent } = await import("../../agents/load.ts");
  const { builtinTools } = await import("../../tools/builtin/builtin.ts");
  const { readConfig } = await import("../../config.ts");
  const options = { builtinTools: builtinTools(), models: readConfig({}, terminal.env).models };
  return Promise.all(paths.map((path) => loadAgent(resolve(terminal.cwd, path), options)));
}

async function printAsJson(results: readonly LoadResult[], terminal: Terminal): Promise<ExitCode> {
  const problems = results.flatMap((result) => (result.ok ? [] : result.problems));
  const agents = results.flatMap((result) => {
    if (!result.ok) return [];
    return [result.loaded];
  });
  const shown = await Promise.all(
    agents.map(async (loaded) => {
      const { agent, file, model } = loaded;
      const warnings = await warningsOf(loaded);
      const { mode } = agent.permissions;
      return { name: agent.name, file, model, tools: [...agent.tools.keys()], mode, warnings };
    }),
  );
  printJson(terminal, { ok: problems.length === 0, agents: shown, problems });
  return problems.length === 0 ? exitCodes.ok : exitCodes.config;
}

async function printAsText(results: readonly LoadResult[], terminal: Terminal): Promise<ExitCode> {
  const { formatProblems } = await import("../../agents/problem.ts");
  const { plain, withVisibleControls } = await import("../render/plain.ts");
  const { stdout, cwd, env } = terminal;
  const style = stylerFor(stdout, env);
  const shorten = (file: string) => shortest(relative(cwd, file), file);
  let count = 0;
  for (const result of results) {
    if (result.ok) {
      await printAgent(result.loaded, shorten, terminal);
      continue;
    }
    count += result.problems.length;
    const shown = result.problems.map((problem) => ({ ...problem, file: shorten(problem.file) }));
    // What is quoted because of a control character should show it.
    printLine(stdout, `${plain(withVisibleControls(formatProblems(shown)))}\n`);
  }
  if (count === 0) return exitCodes.ok;
  printLine(stdout, style("red", count === 1 ? "1 mistake" : `${count} mistakes`));
  return exitCodes.config;
}

/** An agent that is right, and, where no answer can be had from here, why: that is for this machine to mend. */
async function printAgent(
  loaded: LoadedAgent,
  shorten: (file: string) => string,
  { stdout, env }: Terminal,
): Promise<void> {
  const { agent, file, model } = loaded;
  const { plain } = await import("../render/plain.ts");
  const style = stylerFor(stdout, env);
  const here = (text: string) => printLine(stdout, `  On this machine: ${plain(text)}`);
  const tools = `${agent.tools.size} ${agent.tools.size === 1 ? "tool" : "tools"}`;
  const facts = `(${agent.name}, ${plain(agent.model.id)}, ${tools})`;
  printLine(stdout, `${plain(shorten(file))}: ${style("green", "ok")} ${facts}`);
  const { permissionLine } = await import("../permission-notes.ts");
  printLine(stdout, `  Permissions: ${plain(permissionLine(agent))}`);
  if (model.type === "missing") here(`${model.message}. ${model.hint}`);
  if (model.type === "scripted" && model.notice !== null) here(model.notice);
  for (const warning of await warningsOf(loaded)) printLine(stdout, `  ${plain(warning)}`);
}

async function warningsOf(loaded: LoadedAgent): Promise<readonly string[]> {
  const { ruleWarnings } = await import("../permission-notes.ts");
  return [...loaded.warnings, ...ruleWarnings(loaded.agent), ...(await budgetWarnings(loaded))];
}

/** A script that is played for want of a key costs nothing; the model that it stands in for will. */
async function budgetWarnings({ agent: chosen, model }: LoadedAgent): Promise<readonly string[]> {
  const { createCatalogue } = await import("../../models/catalogue.ts");
  const { provideModelFacts } = await import("../../provide-models.ts");
  const { unpricedBudgets } = await import("../../run/turn/budget.ts");
  const { worstCase } = provideModelFacts(createCatalogue());
  const insteadOf = model.type === "scripted" ? model.insteadOf : null;
  const agent = insteadOf === null ? chosen : { ...chosen, model: { ...chosen.model, id: insteadOf } };
  return unpricedBudgets(agent, (...call) => worstCase(agent, ...call));
}

function shortest(a: string, b: string): string {
  return a.length < b.length ? a : b;
}
