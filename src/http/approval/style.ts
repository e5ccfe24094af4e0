import { createHash } from "node:crypto";

/** The one style of the page, light and dark, for a phone as for a screen. */
export const STYLE = `
:root { color-scheme: light dark; --line: #d0d7de; --soft: #f6f8fa; --add: #dafbe1; --del: #ffebe9; --warn: #9a6700; --go: #1a7f37; --no: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --line: #30363d; --soft: #161b22; --add: #12361f; --del: #4a1a1d; --warn: #d29922; --go: #2ea043; --no: #da3633; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 46rem; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; line-height: 1.3; }
h2 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 1rem 0; }
dt { opacity: .7; } dd { margin: 0; }
pre { margin: 0; padding: .7rem; overflow: auto; max-height: 60vh; background: var(--soft); border: 1px solid var(--line); border-radius: 6px; font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; }
pre .add { background: var(--add); } pre .del { background: var(--del); } pre .hunk { opacity: .6; }
.said { white-space: pre-wrap; unicode-bidi: isolate; }
.hidden { padding: 0 .2em; border: 1px solid var(--no); border-radius: 3px; color: var(--no); font-size: .8em; }
.notice { padding: .7rem; border-left: 4px solid var(--warn); background: var(--soft); }
form { margin: 1rem 0; } label { display: block; margin: .6rem 0 .2rem; }
textarea, input, select { width: 100%; padding: .5rem; font: inherit; border: 1px solid var(--line); border-radius: 6px; }
textarea.code { font: 13px/1.45 ui-monospace, monospace; }
button { margin: .6rem .5rem 0 0; padding: .6rem 1.2rem; font: inherit; font-weight: 600; border: 1px solid var(--line); border-radius: 6px; cursor: pointer; }
button.go { background: var(--go); border-color: var(--go); color: #fff; } button.no { background: var(--no); border-color: var(--no); color: #fff; }
details { margin: .8rem 0; } summary { cursor: pointer; }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/**
 * What the page may do: show itself in its one style, and send its form to where it came from. The answer goes with an origin, for
 * which the policy on referrers has to name one at least to the server itself.
 */
export const PAGE_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "referrer-policy": "same-origin",
  "x-robots-tag": "noindex",
} as const;
