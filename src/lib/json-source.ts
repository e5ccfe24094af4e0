/**
 * JSON that a person wrote: parsed with the place of every value kept, so that a complaint can name the line, and with
 * complaints that say what to change. Strict JSON, except that a byte order mark is skipped. A field that appears twice in
 * one object is a mistake.
 */
export type JsonSource =
  | {
      readonly ok: true;
      readonly value: unknown;
      /** Where a value stands (for a field: its name). Undefined when there is nothing at this path. */
      positionOf(path: JsonPath): Position | undefined;
    }
  | { readonly ok: false; readonly message: string; readonly position: Position; readonly excerpt: string };

export type JsonPath = readonly (string | number)[];

/** Both count from 1; columns are UTF-16 code units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

const MAX_DEPTH = 200;
const SPACE = /[ \t\r\n]*/y;
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[^\s,:{}[\]"]+/y;
const LITERALS: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["false", false],
  ["null", null],
]);

export function parseJsonSource(source: string): JsonSource {
  const text = source.startsWith("\uFEFF") ? source.slice(1) : source;
  try {
    const { value, offsets } = parse(text);
    return {
      ok: true,
      value,
      positionOf(path) {
        const offset = offsets.get(JSON.stringify(path));
        return offset === undefined ? undefined : positionAt(text, offset);
      },
    };
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    const position = positionAt(text, error.offset);
    return { ok: false, message: error.message, position, excerpt: excerptAt(text, position) };
  }
}

class Mistake extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

function parse(text: string): { value: unknown; offsets: Map<string, number> } {
  let at = 0;
  const path: (string | number)[] = [];
  const offsets = new Map<string, number>();

  const value = parseValue();
  skipSpace();
  if (at < text.length) throw new Mistake("the file goes on after the end of its JSON", at);
  return { value, offsets };

  function parseValue(): unknown {
    skipSpace();
    if (!offsets.has(JSON.stringify(path))) remember(at);
    if (path.length > MAX_DEPTH) throw new Mistake(`nested more than ${MAX_DEPTH} levels deep`, at);
    switch (text[at]) {
      case "{":
        return parseObject();
      case "[":
        return parseArray();
      case '"':
        return parseString();
      default:
        return parseLiteral();
    }
  }

  function parseObject(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    at++;
    skipSpace();
    if (take("}")) return object;
    while (true) {
      const start = at;
      const name = parseFieldName();
      if (Object.hasOwn(object, name)) throw new Mistake(`the field "${name}" appears twice`, start);
      expect(":", `expected ":" after the field name "${name}"`);
      path.push(name);
      remember(start);
      // Not an assignment: a field named "__proto__" has to stay a field, so that it is noticed as an unknown one.
      Object.defineProperty(object, name, {
        value: parseValue(),
        enumerable: true,
        writable: true,
        configurable: true,
      });
      path.pop();
      if (!nextItem("}", "object")) return object;
    }
  }

  function parseArray(): unknown[] {
    const array: unknown[] = [];
    at++;
    skipSpace();
    if (take("]")) return array;
    while (true) {
      path.push(array.length);
      array.push(parseValue());
      path.pop();
      if (!nextItem("]", "list")) return array;
    }
  }

  /** After an item: true when a comma and another item follow, false when the container has ended. */
  function nextItem(end: "}" | "]", container: string): boolean {
    skipSpace();
    if (take(end)) return false;
    if (at >= text.length)
      throw new Mistake(`the file ends inside of the ${container}: "${end}" is missing`, at);
    const comma = at;
    if (!take(",")) throw new Mistake(`expected "," or "${end}" here`, at);
    skipSpace();
    if (text[at] === end) throw new Mistake(`remove this comma: "${end}" follows`, comma);
    return true;
  }

  function parseFieldName(): string {
    if (text[at] === '"') return parseString();
    complainAboutComment();
    throw new Mistake("expected a field name in double quotes", at);
  }

  function parseString(): string {
    const token = match(STRING);
    if (token === undefined) throw new Mistake(whatIsWrongWithString(text.slice(at)), at);
    return JSON.parse(token) as string;
  }

  function parseLiteral(): unknown {
    if (at >= text.length) {
      throw new Mistake(
        text.trim() === "" ? "the file is empty" : "the file ends where a value is expected",
        at,
      );
    }
    complainAboutComment();
    const start = at;
    const word = match(WORD);
    if (word === undefined) throw new Mistake(`expected a value, found "${text[at]}"`, at);
    const literal = LITERALS.get(word);
    if (literal !== undefined) return literal;
    NUMBER.lastIndex = 0;
    if (NUMBER.exec(word)?.[0] === word) return Number(word);
    throw new Mistake(`${JSON.stringify(word)} is not a JSON value; text needs double quotes`, start);
  }

  function complainAboutComment(): void {
    if (text.startsWith("//", at) || text.startsWith("/*", at)) {
      throw new Mistake("JSON has no comments: remove this one", at);
    }
  }

  function remember(offset: number): void {
    offsets.set(JSON.stringify(path), offset);
  }

  function expect(character: string, complaint: string): void {
    skipSpace();
    if (!take(character)) throw new Mistake(complaint, at);
  }

  function take(character: string): boolean {
    if (text[at] !== character) return false;
    at++;
    return true;
  }

  function skipSpace(): void {
    match(SPACE);
  }

  function match(pattern: RegExp): string | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  }
}

function whatIsWrongWithString(rest: string): string {
  const line = rest.slice(1).split("\n", 1)[0] ?? "";
  if (!/(?:^|[^\\])(?:\\\\)*"/.test(line)) return "this text has no closing quote on its line";
  return 'this text holds a character that JSON wants escaped (a backslash is written "\\\\", a tab "\\t")';
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}

/** The line in question and the one before it, with a caret below the place. */
function excerptAt(text: string, position: Position): string {
  const lines = text.split(/\r?\n/);
  const width = String(position.line).length;
  const shown = [position.line - 1, position.line]
    .filter((number) => number >= 1)
    .map((number) => `${String(number).padStart(width)} | ${lines[number - 1] ?? ""}`);
  // Tabs stay tabs, so that the caret stands below its character.
  const indent = (lines[position.line - 1] ?? "").slice(0, position.column - 1).replace(/[^\t]/g, " ");
  return [...shown, `${" ".repeat(width)} | ${indent}^`].join("\n");
}
