import type { Tool } from "../tool.ts";
import { editTool } from "./edit.ts";
import { globTool } from "./glob.ts";
import { grepTool } from "./grep.ts";
import { listTool } from "./list.ts";
import { readTool } from "./read.ts";
import { shellTool } from "./shell.ts";
import { writeTool } from "./write.ts";

/**
 * The tools that every agent has: a shell, and files in the session's workspace. They know the sandbox only through its
 * port, so they work in every kind of sandbox, and cannot reach what the sandbox does not let them reach.
 */
export function builtinTools(): readonly Tool[] {
  return [shellTool, readTool, writeTool, editTool, listTool, globTool, grepTool];
}
