import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setImmediate as nextTick, setTimeout as sleep } from "node:timers/promises";
import { type AnswerPlan, type Wire, wires } from "./wire.ts";

/**
 * A deterministic model server on the loopback interface, run as its own process: prints `{"port": n}`, ends with its
 * standard input. What it answers depends on the request alone; the wish stands in the model's name, `what-number[+latencyms]`:
 *
 * - `turns-50`: a call of the tool `step` until there were 49 results, then text: 50 model calls
 * - `chunks-5000`: one text in 5,000 pieces, each written on its own, as fast as they are taken
 * - `paced-5000`: the same, 2,000 a second, which is how it arrives from a fast provider
 * - `parallel-100`: 100 calls in one answer, then text
 * - `slowly-5`: 5 calls in one answer, 100 ms for each piece of it, as a model writes long arguments; then text
 *
 * `+200ms` waits before the answer begins. `GET /seen` tells how many requests there were, and, once, the milliseconds
 * between the end of each answer with calls and the arrival of the next request.
 */
const MS_PER_PIECE: Readonly<Record<string, number>> = { chunks: 0, paced: 0.5, slowly: 100 };
let requests = 0;
const gaps: number[] = [];
/** When the last answer with calls ended. One conversation at a time makes sense of it. */
let callsSentAt: number | null = null;

const server = createServer((request, response) => {
  const arrivedAt = performance.now();
  if (request.method === "GET") {
    response.end(JSON.stringify({ requests, gaps: gaps.splice(0) }));
    return;
  }
  requests++;
  if (callsSentAt !== null) gaps.push(arrivedAt - callsSentAt);
  callsSentAt = null;
  answer(request, response).catch((error: unknown) => response.destroy(error as Error));
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null) console.log(JSON.stringify({ port: address.port }));
});
process.stdin.on("end", () => process.exit()).resume();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const wire = Object.values(wires).find(({ path }) => request.url?.endsWith(path));
  const body = await textOf(request);
  const model = /"model":"([^"]+)"/.exec(body)?.[1] ?? "";
  const wish = /^(turns|chunks|paced|parallel|slowly)-(\d+)(?:\+(\d+)ms)?$/.exec(model);
  if (wire === undefined || wish === null) {
    response.writeHead(404).end(`unknown path ${request.url} or model ${model}`);
    return;
  }
  const [, kind = "", count = "", latency = "0"] = wish;
  if (latency !== "0") await sleep(Number(latency));
  const plan = planFor({ kind, count: Number(count), model, body, wire });
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const msPerPiece = MS_PER_PIECE[kind];
  if (msPerPiece !== undefined) await writePieces(response, wire.encode(plan), msPerPiece);
  else response.write(wire.encode(plan).join(""));
  response.end(() => {
    if (plan.calls.length > 0) callsSentAt = performance.now();
  });
}

interface Wish {
  readonly kind: string;
  readonly count: number;
  readonly model: string;
  readonly body: string;
  readonly wire: Wire;
}

function planFor({ kind, count, model, body, wire }: Wish): AnswerPlan {
  const base = { model, inputTokens: Math.ceil(body.length / 4) };
  if (kind === "chunks" || kind === "paced")
    return { ...base, text: Array.from({ length: count }, pieceOfText), calls: [] };
  const results = occurrences(body, wire.resultMark);
  const isAtOnce = kind === "parallel" || kind === "slowly";
  const wanted = isAtOnce ? (results === 0 ? count : 0) : results < count - 1 ? 1 : 0;
  if (wanted === 0) return { ...base, text: ["All ", "done."], calls: [] };
  const call = (_: unknown, i: number) => ({
    id: `call_${results}_${i}`,
    name: "step",
    input: { n: results + i },
  });
  return { ...base, text: ["Next ", "step."], calls: Array.from({ length: wanted }, call) };
}

function pieceOfText(_: unknown, index: number): string {
  return ` word${index}`;
}

function occurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

/** Paced, it keeps to the clock, so that a slow reader gets as many separate pieces as a fast one. */
async function writePieces(
  response: ServerResponse,
  parts: readonly string[],
  msPerPiece: number,
): Promise<void> {
  const start = performance.now();
  for (const [sent, part] of parts.entries()) {
    while (performance.now() - start < sent * msPerPiece) await sleep(1);
    response.write(part);
    await nextTick();
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
