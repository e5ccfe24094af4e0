import type { ParameterExpansionPart, ParameterOperation, SyntaxNode, Word } from "unbash";
import { changesMeaning } from "./variables.ts";
import { wordText } from "./words.ts";

/** Why this piece of syntax can do what its text does not show, by itself; null: it cannot. */
export function dangerOf(node: SyntaxNode, isPosixShell: boolean): string | null {
  return isPosixShell && isOnlyBash(node) ? "sh reads it in another way than bash does" : dangerInBash(node);
}

function dangerInBash(node: SyntaxNode): string | null {
  switch (node.type) {
    case "CommandExpansion":
    case "ProcessSubstitution":
      return node.script === undefined ? "a part of it is not understood" : null;
    case "ArithmeticCommandExpansion":
      return "a calculation with the output of a command can run commands that are in it";
    case "TestBinary":
      return calculates(node.operator) && !(isOperand(node.left) && isOperand(node.right))
        ? "a comparison of numbers can run commands that are in a text"
        : null;
    case "TestUnary":
      return /^-[vR]$/.test(node.operator) && !isOperand(node.operand)
        ? "a test of a variable can run commands that are in an index"
        : null;
    case "For":
    case "Select":
      return nameDanger(wordText(node.name));
    case "ArithmeticExpansion":
      return node.expression === undefined && !/^\$(?:\(\(\s*\)\)|\[\s*\])$/.test(node.text)
        ? "a calculation is not understood"
        : null;
    case "ArithmeticCommand":
      return node.expression === undefined ? "a calculation is not understood" : null;
    case "ArithmeticWord":
      return arithmeticDanger(node.value);
    case "Assignment":
      return node.index === undefined || isIndex(node.index)
        ? null
        : "an index can run commands that are in its text";
    case "ArrayValue":
      return node.elements.some(({ text }) => text.startsWith("[") && !/^\[\w+\]\+?=/.test(text))
        ? "an index can run commands that are in its text"
        : null;
    case "FileDescriptorVariable":
      return nameDanger(node.name);
    case "Coproc":
      return node.name === undefined ? null : nameDanger(wordText(node.name));
    case "ExtendedGlob":
      return "bash reads a pattern like !(x) in two ways";
    case "ParameterExpansion":
      return parameterDanger(node);
    case "Function":
      return functionDanger(wordText(node.name));
    default:
      return null;
  }
}

/** Quotes and parameters can bring in a text that is calculated with; PATH=1 is an assignment, too. */
function arithmeticDanger(value: string): string | null {
  if (changesMeaning(value)) return `${value} in a calculation can change what commands do`;
  return /['"\\`]|\$[\d@*!{(-]/.test(value) && !/^\$\{#?\w+\}$/.test(value)
    ? "a calculation with quotes or parameters can run commands"
    : null;
}

function isIndex(word: Word): boolean {
  return /^\s*(?:-?\d+|[A-Za-z_]\w*|\$[A-Za-z_]\w*|[@*]|\$?\(\(.*\)\))?\s*$/.test(word.text);
}

function parameterDanger({ operation, parameter, prefix, index }: ParameterExpansionPart): string | null {
  const calculated = [index, ...(operation?.type === "Slice" ? [operation.offset, operation.length] : [])];
  if (calculated.some((word) => word !== undefined && !isIndex(word))) {
    return "an index can run commands that are in its text";
  }
  if (operandsOf(operation).some(hasSingleQuote))
    return "shells read a quote in an expansion in different ways";
  if (operation?.type === "Unknown") return "an expansion is not understood";
  if (operation?.type === "Default" && operation.operator.includes("=")) return nameDanger(parameter);
  if (operation?.type === "Transform" && wordText(operation.operand) === "P") {
    return "an expansion with @P runs commands that are in the variable";
  }
  return prefix === "!" && operation?.type !== "Names"
    ? "an expansion with ! follows a name that is in a variable"
    : null;
}

function operandsOf(operation: ParameterOperation | undefined): readonly Word[] {
  if (operation === undefined) return [];
  if ("operand" in operation) return operation.operand === undefined ? [] : [operation.operand];
  return operation.type === "Replace" ? [operation.pattern, operation.replacement] : [];
}

/** `"${x:-'}"` ends at the second `"` for some shells, and for others it does not. */
function hasSingleQuote({ text, parts }: Word): boolean {
  if (parts === undefined) return text.includes("'");
  return parts.some(({ type, text }) =>
    type.endsWith("Quoted") ? text.includes("'") : type === "Literal" && text.includes("'"),
  );
}

function functionDanger(name: string): string | null {
  return usualName.test(name) ? null : `the function ${name} has an unusual name`;
}

function nameDanger(name: string): string | null {
  return changesMeaning(name) ? `${name}= changes what commands do` : null;
}

function calculates(operator: string): boolean {
  return /^-(?:eq|ne|lt|le|gt|ge)$/.test(operator);
}

/** A number, or a variable by its name: what is in that is looked at where it gets its text. */
function isOperand(word: Word): boolean {
  return /^(?:-?\d+|[A-Za-z_]\w*|"?\$(?:[A-Za-z_]\w*|[?#])"?|"?\$\{#?[A-Za-z_]\w*\}"?)$/.test(word.text);
}

/** What other shells take for something else, which may be a command: `[[ a || rm x ]]`, `$[1 | rm]`. */
function isOnlyBash(node: SyntaxNode): boolean {
  if (node.type === "ArithmeticExpansion") return node.text.startsWith("$[");
  if (node.type === "ParameterExpansion" && node.operation !== undefined) {
    return (
      /["'\\]/.test(node.text) || (node.operation.type !== "Default" && node.operation.type !== "Remove")
    );
  }
  return onlyBash.has(node.type);
}

const onlyBash: ReadonlySet<string> = new Set([
  "TestCommand",
  "Time",
  "ArithmeticCommand",
  "ArithmeticFor",
  "Function",
  "Coproc",
  "Select",
  "AnsiCQuoted",
  "LocaleString",
  "ProcessSubstitution",
  "ExtendedGlob",
  "HereString",
  "ArrayValue",
]);

const usualName = /^[A-Za-z_][\w-]*$/;

/** Whether a variable gets a text that is more than a plain name or number. */
export function setsTrickyText(node: SyntaxNode): boolean {
  switch (node.type) {
    case "Assignment":
      return node.value.type === "ArrayValue"
        ? node.value.elements.some((word) => !isPlain(word))
        : !isPlain(node.value);
    case "For":
    case "Select":
      return node.wordlist === undefined || !node.wordlist.every(isPlain);
    case "ParameterExpansion":
      return node.operation?.type === "Default" && /=/.test(node.operation.operator)
        ? !isPlain(node.operation.operand)
        : false;
    default:
      return false;
  }
}

function isPlain(word: Word): boolean {
  if (word.parts === undefined) return PLAIN.test(word.value);
  return word.parts.every((part) => {
    if (part.type === "ArithmeticExpansion") return true;
    if (part.type === "SimpleExpansion") return /^\$(?:[A-Za-z_]\w*|[?#$])$/.test(part.text);
    return part.type === "Literal" && PLAIN.test(part.value);
  });
}

const PLAIN = /^[\w.,:/@%+=-]*$/;

/** Whether bash calculates with the text of a variable: `a[$(command)]` in it is run. */
export function evaluatesVariables(node: SyntaxNode): boolean {
  switch (node.type) {
    case "ArithmeticWord":
      return !/^\d[\w#]*$/.test(node.value);
    case "TestBinary":
      return calculates(node.operator) && !(isNumber(node.left) && isNumber(node.right));
    case "TestUnary":
      return /^-[vR]$/.test(node.operator);
    case "ParameterExpansion":
      if (node.index !== undefined && !/^(?:\d+|[@*])$/.test(wordText(node.index))) {
        return node.index.text !== "@" && node.index.text !== "*";
      }
      return (
        node.operation?.type === "Slice" &&
        !(
          isNumber(node.operation.offset) &&
          (node.operation.length === undefined || isNumber(node.operation.length))
        )
      );
    case "Assignment":
      return node.index !== undefined && !isNumber(node.index);
    default:
      return false;
  }
}

function isNumber(word: Word): boolean {
  return word.parts === undefined && /^\s*-?\d*\s*$/.test(word.value);
}
