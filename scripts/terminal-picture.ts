/**
 * Draws what a program printed, colours included, as an SVG: for the README.
 *
 *     FORCE_COLOR=1 npm run -s demo -- --kill | node scripts/terminal-picture.ts "npm run demo -- --kill" > docs/demo.svg
 */
const [title = ""] = process.argv.slice(2);
const COLUMNS = 104;
const LINE = 18;
const CHARACTER = 8.4;
const MARGIN = 20;
const TOP = 50;

const colours: Readonly<Record<string, string>> = {
  "31": "#ff7b72",
  "32": "#7ee787",
  "33": "#e3b341",
  "34": "#79c0ff",
  "35": "#d2a8ff",
  "36": "#76e3ea",
  "90": "#8b949e",
};

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const lines = `$ ${title}\n${Buffer.concat(chunks).toString("utf8")}`.trimEnd().split("\n").flatMap(wrap);
process.stdout.write(draw(lines));

/** Breaks at the width of the picture; codes take no room. */
function wrap(line: string): readonly string[] {
  const wrapped: string[] = [];
  let current = "";
  let width = 0;
  for (const [piece] of line.matchAll(/\x1b\[[0-9;]*m|./gu)) {
    if (width === COLUMNS && !piece.startsWith("\x1b")) {
      wrapped.push(current);
      current = "    ";
      width = 4;
    }
    current += piece;
    if (!piece.startsWith("\x1b")) width += 1;
  }
  return [...wrapped, current];
}

function draw(rows: readonly string[]): string {
  const width = Math.round(COLUMNS * CHARACTER + 2 * MARGIN);
  const height = rows.length * LINE + TOP + MARGIN;
  const dots = ["#ff5f57", "#febc2e", "#28c840"]
    .map((fill, i) => `<circle cx="${MARGIN + 6 + i * 20}" cy="22" r="6" fill="${fill}"/>`)
    .join("");
  const text = rows
    .map((row, i) => `<text x="${MARGIN}" y="${TOP + (i + 0.75) * LINE}">${spans(row)}</text>`)
    .join("\n");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#e6edf3" xml:space="preserve">
<title>What "${title}" prints</title>
<rect width="100%" height="100%" rx="10" fill="#0d1117"/>${dots}
${text}
</svg>
`;
}

function spans(row: string): string {
  let style = new Set<string>();
  return row
    .split(/(\x1b\[[0-9;]*m)/)
    .map((piece) => {
      const codes = /^\x1b\[([0-9;]*)m$/.exec(piece)?.[1];
      if (codes === undefined) return piece === "" ? "" : span(piece, style);
      for (const code of codes.split(";")) style = applied(style, code);
      return "";
    })
    .join("");
}

function applied(style: ReadonlySet<string>, code: string): Set<string> {
  if (code === "0" || code === "") return new Set();
  const without = (...ended: readonly string[]) =>
    new Set([...style].filter((known) => !ended.includes(known)));
  if (code === "22") return without("1", "2");
  if (code === "39") return without(...Object.keys(colours));
  return new Set([...style, code]);
}

function span(text: string, style: ReadonlySet<string>): string {
  const colour = [...style].map((code) => colours[code]).find((value) => value !== undefined);
  const attributes = [
    colour === undefined ? "" : ` fill="${colour}"`,
    style.has("1") ? ' font-weight="bold"' : "",
    style.has("2") ? ' opacity="0.65"' : "",
  ].join("");
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<tspan${attributes}>${escaped}</tspan>`;
}
