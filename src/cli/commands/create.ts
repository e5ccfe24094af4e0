import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { AppError } from "../../lib/errors.ts";
import { isDirectory, isFile } from "../../lib/files.ts";
import { jsonOption, type RunnableCommand } from "../command.ts";
import { exitCodes } from "../exit.ts";
import { shellWord } from "../shell-word.ts";
import { fileSystemError } from "../system-error.ts";
import { printJson, printLine, stylerFor, type Terminal } from "../terminal.ts";

export const create: RunnableCommand = {
  name: "create",
  summary: "write the files of a new agent into a folder",
  arguments: [{ syntax: "<folder>", description: "made if need be; its name becomes that of the agent" }],
  options: [
    { flags: "--name <name>", description: "another name: lower-case letters, digits and hyphens" },
    jsonOption,
  ],
  examples: [{ command: "holdfast create my-agent", explanation: "then edit my-agent/system-prompt.md" }],
  async run(input, terminal) {
    const given = input.text("folder") ?? "";
    const folder = resolve(terminal.cwd, given);
    const { agentNamePattern } = await import("../../agents/harness.ts");
    const name = input.text("name") ?? nameFrom(basename(folder));
    if (!agentNamePattern.test(name)) {
      throw new AppError("invalid_input", `${JSON.stringify(name)} cannot be the name of an agent`, {
        hint: "Pass --name with 1 to 64 lower-case letters, digits and hyphens.",
      });
    }
    const files = filesOf(name, await schemaOf(folder));
    await refuseToOverwrite(folder, [...files.keys()]);
    try {
      for (const [file, text] of files) await writeNew(join(folder, file), text);
    } catch (error) {
      throw fileSystemError(error, "Name a folder in another place.") ?? error;
    }
    await announce({ name, folder, given, files: [...files.keys()] }, input.flag("json"), terminal);
    return exitCodes.ok;
  },
};

const PERMISSIONS = [
  "It may edit its files and run commands in its sandbox without asking; tools that you add ask before each call.",
  '"permissions" in harness.json says so: "mode": "default" with "allow": [] asks before everything that changes something.',
];

/** "My Agent" as "my-agent". */
function nameFrom(folder: string): string {
  return folder
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 64)
    .replace(/^-+|-+$/g, "");
}

/** Where editors find the description of harness.json, as seen from its folder; `text` where it has to be written there. */
interface Schema {
  readonly path: string;
  readonly text: string | null;
}

/** That of the nearest `node_modules`, which stays up to date by itself; without one (a global installation) a copy. */
async function schemaOf(folder: string): Promise<Schema> {
  const inPackages = join("node_modules", "holdfast", "schema", "harness.json");
  for (let parent = folder; parent !== dirname(parent); parent = dirname(parent)) {
    const candidate = join(parent, inPackages);
    if (await isFile(candidate)) {
      const path = relative(folder, candidate);
      return { path: path.startsWith("..") ? path : `./${path}`, text: null };
    }
  }
  const own = new URL("../../../schema/harness.json", import.meta.url);
  return { path: `./${schemaCopy}`, text: await readFile(own, "utf8") };
}

const schemaCopy = "harness.schema.json";

function filesOf(name: string, schema: Schema): ReadonlyMap<string, string> {
  const harness = {
    $schema: schema.path,
    name,
    description: "Says in one sentence what this agent is for.",
    systemPrompt: "./system-prompt.md",
    workspace: "./workspace",
    // Files of the workspace and commands in the sandbox: what the agent is there for. Tools of one's own ask.
    permissions: { mode: "acceptEdits", allow: ["shell"] },
  };
  return new Map([
    ["harness.json", `${JSON.stringify(harness, null, 2)}\n`],
    ["system-prompt.md", systemPrompt],
    ["workspace/notes.md", notes],
    [".gitignore", gitignore],
    ...(schema.text === null ? [] : [[schemaCopy, schema.text] as const]),
  ]);
}

const systemPrompt = `You are a careful assistant who works in a folder of files with real commands.

- Look before you change: list and read what is there.
- Do the work with your tools instead of describing it, and check the result.
- When you are done, say in a few sentences what you did, where the results are, and what is left open.
`;

const notes = `# Notes

Every new session starts with a copy of this folder. Put here what the agent is to work with; \`holdfast run --file\`
adds files to one session only.
`;

const gitignore = `# Sessions and their files
.holdfast/
node_modules/
.env
`;

async function refuseToOverwrite(folder: string, files: readonly string[]): Promise<void> {
  if (await isFile(folder)) {
    throw new AppError("conflict", `${folder} is a file`, { hint: "Name a folder that does not exist yet." });
  }
  const present = [];
  for (const file of files) {
    if (await isFile(join(folder, file))) present.push(file);
  }
  if (present.length === 0) return;
  throw new AppError("conflict", `${folder} has these files already: ${present.join(", ")}`, {
    hint: "Nothing was written. Name another folder, or remove them first.",
    details: { files: present },
  });
}

/** Fails if the file came into being meanwhile. */
async function writeNew(file: string, text: string): Promise<void> {
  if (!(await isDirectory(dirname(file)))) await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { flag: "wx" });
}

interface Created {
  readonly name: string;
  readonly folder: string;
  /** The folder as the person wrote it. */
  readonly given: string;
  readonly files: readonly string[];
}

async function announce(created: Created, json: boolean, terminal: Terminal): Promise<void> {
  const { name, folder, given, files } = created;
  const enter = folder === resolve(terminal.cwd) ? "" : `cd ${shellWord(given)} && `;
  const next = `${enter}holdfast run "What is in this folder?"`;
  if (json) {
    printJson(terminal, { agent: name, folder, files, next });
    return;
  }
  const { stdout } = terminal;
  const { plain } = await import("../render/plain.ts");
  const style = stylerFor(stdout, terminal.env);
  printLine(stdout, `Created the agent ${style("bold", name)} in ${plain(folder)}:`);
  for (const file of files) printLine(stdout, `  ${file}`);
  printLine(stdout);
  const { readConfig } = await import("../../config.ts");
  const { chooseModel } = await import("../../agents/choose-model.ts");
  const model = chooseModel({ id: null, baseUrl: null, script: null }, readConfig({}, terminal.env).models);
  if (model.type === "missing") printLine(stdout, `${model.message}. ${model.hint} Then:`);
  else printLine(stdout, "Next:");
  printLine(stdout, `  ${style("cyan", plain(next))}`);
  printLine(stdout);
  for (const line of PERMISSIONS) printLine(stdout, line);
}
