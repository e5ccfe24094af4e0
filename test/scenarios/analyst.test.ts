import { mkdtempDisposable, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { dateOf, makeSales, PLANTED } from "../../examples/analyst/make-data.ts";
import { openRuntime, type SandboxDriver } from "../../src/index.ts";
import { virtualDriver } from "../../src/sandboxes/virtual/virtual.ts";
import { createScriptedModel, loadScript } from "../../src/testing/testing.ts";

/**
 * The example agent does its job right, with the tools that it has on this machine and with those of the sandbox that runs
 * everywhere: it finds what was planted, nothing else, and leaves a report and a picture.
 */
const ANALYST = fileURLToPath(new URL("../../examples/analyst", import.meta.url));

describe("the analyst", () => {
  it("has the data that its script makes", async () => {
    expect(await readFile(join(ANALYST, "data", "sales.csv"), "utf8")).toBe(makeSales());
  });

  it("finds what was planted, in this machine's sandbox", async () => {
    expectRightResults(await analyse());
  });

  it("finds the same in the virtual sandbox", { timeout: 240_000 }, async () => {
    expectRightResults(await analyse([virtualDriver()]));
  });
});

interface Analysis {
  readonly summary: string;
  readonly findings: readonly Finding[];
  readonly report: string;
  readonly chart: string;
}

interface Finding {
  readonly store: string;
  readonly from: string;
  readonly to: string;
  readonly kind: string;
}

async function analyse(sandboxes?: readonly SandboxDriver[]): Promise<Analysis> {
  await using directory = await mkdtempDisposable(join(tmpdir(), "holdfast-analyst-"));
  const script = await loadScript(join(ANALYST, "script.yaml"));
  const model = createScriptedModel({ ...script, defaults: { chunkSize: 10_000 } });
  await using runtime = await openRuntime({
    agents: [ANALYST],
    dataDir: directory.path,
    models: () => model,
    ...(sandboxes === undefined ? {} : { sandboxes }),
  });
  const session = await runtime.session();
  const result = await (await session.send("Find what is odd in sales.csv.")).result();
  expect(result).toMatchObject({ reason: "endTurn", error: null });
  await (await runtime.sessions.sandbox(session.id)).destroy();
  const file = (name: string) => readFile(join(runtime.workspacePath(session.id), name), "utf8");
  return {
    summary: result.text,
    findings: (await file("findings.csv")).trim().split("\n").map(parseFinding),
    report: await file("report.md"),
    chart: await file("chart.svg"),
  };
}

function parseFinding(line: string): Finding {
  const [store = "", from = "", to = "", , , kind = ""] = line.split(",");
  return { store, from, to, kind };
}

function expectRightResults({ summary, findings, report, chart }: Analysis): void {
  const planted = PLANTED.map(({ store, kind, from, to }) => ({
    store,
    kind,
    from: dateOf(from),
    to: dateOf(to),
  }));
  expect(findings.toSorted(byStore)).toEqual(planted.toSorted(byStore));

  expect(report).toContain(`**${planted.length} anomalies** in 2,183 rows`);
  for (const { store, from } of planted) expect(report).toMatch(new RegExp(`\\| ${store} \\| ${from}`));

  expectWellFormed(chart);
  expect(chart.match(/class="note"/g)).toHaveLength(planted.length);

  // 102,936 dollars where 10,591 are usual.
  expect(summary).toContain(`${planted.length} anomalies in 2,183 rows; ${planted.length} are marked`);
  expect(summary).toContain("1. $92345 kings-road, amount, 2026-04-29");
}

function byStore(a: Finding, b: Finding): number {
  return a.store.localeCompare(b.store);
}

/** Enough of XML for a file without comments, entities and CDATA: every tag is closed in order, attributes are quoted. */
function expectWellFormed(xml: string): void {
  const open: string[] = [];
  const tag = /<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<&]*")*)\s*(\/?)>/g;
  for (const [, closing, name = "", , empty] of xml.matchAll(tag)) {
    if (closing) expect(open.pop()).toBe(name);
    else if (!empty) open.push(name);
  }
  expect(open).toEqual([]);
  expect(xml.replaceAll(tag, "")).not.toMatch(/[<>&]/);
  expect(xml).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
}
