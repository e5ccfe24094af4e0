import { isRecord } from "../lib/json.ts";
import type { Risk } from "../log/entry.ts";
import { type Place, placeOf } from "./paths.ts";
import type { PolicyCall } from "./policy.ts";
import { SHELL } from "./rule.ts";
import { riskOfCommand } from "./shell/command-risk.ts";
import { parseShell, type ShellLine } from "./shell/shell.ts";
import { NO_RISK, riskOfWriting, worst } from "./worst.ts";

/** What a call can do, from what its tool declares, from its arguments, or else from its effect. Never throws. @pure */
export function riskOf(call: PolicyCall): Risk {
  if (call.name === SHELL) return riskOfLine(parseShell(commandOf(call)));
  if (call.risk !== undefined) return { why: ["its tool says so"], ...call.risk };
  switch (call.name) {
    case "read":
    case "list":
    case "glob":
    case "grep":
    case "find_tools":
      return NO_RISK;
    case "write":
    case "edit":
      return riskOfWriting(placeOfInput(call.input));
    default:
      return call.effect === "readonly"
        ? { reversibility: "none", reach: "outside", why: [] }
        : { reversibility: "hard", reach: "outside", why: [`nobody has said what ${call.name} can do`] };
  }
}

/** "" for arguments that are not those of the shell. */
export function commandOf({ input }: Pick<PolicyCall, "input">): string {
  return isRecord(input) && typeof input.command === "string" ? input.command : "";
}

/** The file that a call is about. */
export function placeOfInput(input: unknown): Place {
  return isRecord(input) && typeof input.path === "string" ? placeOf(input.path) : { type: "unknown" };
}

/** The worst of its commands and redirections. */
export function riskOfLine({ commands, files, opaque, directories }: ShellLine): Risk {
  const risks = [
    ...commands.filter(({ isWrapper }) => !isWrapper).map(({ words }) => riskOfCommand(words, directories)),
    ...files.filter(({ how }) => how === "write").flatMap(({ places }) => places.map(riskOfWriting)),
    ...opaque.map((why): Risk => ({ reversibility: "hard", reach: "session", why: [why] })),
  ];
  return worst(risks);
}

/** What an MCP server says of a tool. Hints, not promises: they move what asks by itself, never what a rule says. */
export interface ToolAnnotations {
  readonly readOnlyHint?: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
  readonly openWorldHint?: boolean;
}

/** With the defaults of the protocol: what says nothing writes, destroys, and reaches everything. @pure */
export function riskFromAnnotations(annotations: ToolAnnotations): Risk {
  const {
    readOnlyHint = false,
    destructiveHint = true,
    idempotentHint = false,
    openWorldHint = true,
  } = annotations;
  const reach = openWorldHint ? "outside" : "session";
  if (readOnlyHint) return { reversibility: "none", reach, why: ["its server says that it only reads"] };
  if (destructiveHint) {
    return {
      reversibility: "irreversible",
      reach,
      why: ["its server does not say that it destroys nothing"],
    };
  }
  return {
    reversibility: idempotentHint && !openWorldHint ? "undoable" : "hard",
    reach,
    why: ["its server says that it adds, and destroys nothing"],
  };
}
