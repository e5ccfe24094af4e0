import { mayBeOption } from "./command-pattern.ts";

const ADDRESS = String.raw`(?:\d+(?:~\d+)?|\$|/(?:[^/\\\n]|\\.)*/[IM]*)`;
const SUBSTITUTE = String.raw`[sy]([^\w\s\\])(?:(?!\1)[^\\\n]|\\[\s\S])*\1(?:(?!\1)[^\\]|\\[\s\S])*\1[gpiIM\d]*`;
const TEXT = String.raw`[aic](?:\\\n)?[^\n]*`;
const JUMP = String.raw`[bt]\s*\w*|:\s*\w+`;
/** One command of sed that neither runs anything (`e`) nor writes to, or reads from, another file (`w`, `r`). */
const COMMAND = new RegExp(
  String.raw`\s*(?:${ADDRESS}(?:,(?:${ADDRESS}|[+~]\d+))?)?\s*!?\s*(?:${SUBSTITUTE}|${TEXT}|${JUMP}|[pdqQ=nNgGhHxDPlz])?\s*(?:[;\n{}]|$)`,
  "y",
);

/** Whether nothing but text changes by these arguments of sed, in the files that they name. */
export function isSimpleSed(args: readonly string[]): boolean {
  const scripts: string[] = [];
  let hasScript = false;
  const operands: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "-e" || arg === "--expression") {
      hasScript = true;
      scripts.push(args[++at] ?? "");
    } else if (/^(?:-e.|--expression=)/.test(arg)) {
      hasScript = true;
      scripts.push(arg.replace(/^(?:-e|--expression=)/, ""));
    } else if (
      /^-[nErsuzi]*(?:i[\w.~]*)?$|^--(?:quiet|silent|regexp-extended|in-place(?:=.*)?|separate|null-data|unbuffered|posix|sandbox|debug|version|help)$/.test(
        arg,
      )
    ) {
      if (arg === "-") operands.push(arg);
    } else if (arg.startsWith("-") || mayBeOption(arg)) return false;
    else operands.push(arg);
  }
  if (!hasScript) scripts.push(operands[0] ?? "");
  return scripts.every(isSimpleScript);
}

function isSimpleScript(script: string): boolean {
  if (script.includes("\0")) return false;
  for (let at = 0; at < script.length; ) {
    COMMAND.lastIndex = at;
    const found = COMMAND.exec(script);
    if (found === null || found[0] === "") return false;
    at = COMMAND.lastIndex;
  }
  return true;
}
