import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureInstallation } from "./installation.ts";
import { interleave, median, type Program, run, type StartOptions, start } from "./measure.ts";
import { measureSoak } from "./soak.ts";
import { measureWaiting } from "./waiting.ts";

/** One thing that is measured; its figures are compared with their goals. */
export interface Case {
  readonly name: string;
  /** What stands above its figures. */
  readonly title: string;
  run(context: Context): Promise<readonly Figure[]>;
}

export interface Context {
  /** Address of the model server. */
  readonly url: string;
  readonly rounds: number;
  /** For the processes that run Holdfast. */
  readonly options: StartOptions;
}

export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly value: number;
  /** The same work without a library. */
  readonly floor?: number;
  /** The value should not be above it. */
  readonly goal?: number;
}

const FLOOR = "./floor.ts";
const HOLDFAST = "./holdfast.ts";
const PACKAGES = "./packages.ts";

export const cases: readonly Case[] = [
  {
    name: "turns",
    title: "CPU per model call in a tool loop",
    async run({ url, rounds, options }) {
      const turns = (file: string, count: number, own?: StartOptions) => async () =>
        (await run<{ cpuMsPerTurn: number }>(file, ["turns", url, count], own)).cpuMsPerTurn;
      const ms = await interleave(rounds, {
        floor50: turns(FLOOR, 50),
        packages50: turns(PACKAGES, 50),
        ours50: turns(HOLDFAST, 50, options),
        floor200: turns(FLOOR, 200),
        packages200: turns(PACKAGES, 200),
        ours200: turns(HOLDFAST, 200, options),
      });
      // The history that goes over the wire grows with the turns; the floor pays for that as well.
      const above50 = ms.ours50 - ms.floor50;
      const above200 = ms.ours200 - ms.floor200;
      return [
        { what: "50 turns", unit: "ms", value: ms.ours50, floor: ms.floor50, goal: ms.floor50 + 1 },
        { what: "200 turns", unit: "ms", value: ms.ours200, floor: ms.floor200, goal: ms.floor200 + 1 },
        {
          what: "50 turns, the provider's package alone",
          unit: "ms",
          value: ms.packages50,
          floor: ms.floor50,
        },
        {
          what: "200 turns, the provider's package alone",
          unit: "ms",
          value: ms.packages200,
          floor: ms.floor200,
        },
        { what: "above the floor, 50 turns", unit: "ms", value: above50, goal: 1 },
        { what: "above the floor, 200 turns", unit: "ms", value: above200, goal: Math.min(1, above50) },
      ];
    },
  },
  {
    name: "stream",
    title: "CPU of the server per 1,000 pieces of an answer of 5,000, with one SSE reader",
    async run({ url, rounds, options }) {
      await using floor = start(FLOOR, ["stream", url, 5_000]);
      await using ours = start(HOLDFAST, ["stream", url], options);
      const bases = [
        (await floor.next<{ base: string }>()).base,
        (await ours.next<{ base: string }>()).base,
      ] as const;
      const read = (kind: string) => ({
        floor: () => cpuOfReading(bases[0], () => fetch(`${bases[0]}/${kind}`)),
        ours: () => cpuOfReading(bases[1], () => invoke(bases[1], `${kind}-5000`)),
      });
      await interleave(3, read("chunks"));
      const fast = await interleave(rounds, read("chunks"));
      const paced = await interleave(Math.min(rounds, 3), read("paced"));
      return [
        { what: "as fast as possible", unit: "ms", value: fast.ours, floor: fast.floor, goal: 15 },
        { what: "2,000 pieces a second, each on its own", unit: "ms", value: paced.ours, floor: paced.floor },
      ];
    },
  },
  {
    name: "parallel",
    title: "100 parallel calls of 100 ms each, from the end of the answer to the next request",
    async run({ url, rounds, options }) {
      const cold: number[] = [];
      const ms = await interleave(rounds, {
        ours: async () => {
          await seen(url);
          await run(HOLDFAST, ["parallel", url, 100, 100], options);
          const { gaps } = await seen(url);
          cold.push(gaps[0] ?? Number.NaN);
          return gaps.at(-1) ?? Number.NaN;
        },
      });
      return [
        { what: "100 calls", unit: "ms", value: ms.ours, floor: 100, goal: 120 },
        { what: "the first ones of a new process", unit: "ms", value: median(cold), floor: 100, goal: 120 },
      ];
    },
  },
  {
    name: "early",
    title: "An answer with 5 calls, written within 700 ms, from its request",
    async run({ url, rounds, options }) {
      const answers: number[] = [];
      const ms = await interleave(rounds, {
        ours: async () => {
          const result = await run<{ firstCallMs: number; answerMs: number }>(
            HOLDFAST,
            ["early", url, 5],
            options,
          );
          answers.push(result.answerMs);
          return result.firstCallMs;
        },
      });
      return [
        // The floor is when the first call has been written.
        { what: "until the first call starts", unit: "ms", value: ms.ours, floor: 300, goal: 350 },
        { what: "until the answer has ended", unit: "ms", value: median(answers) },
      ];
    },
  },
  {
    name: "stop",
    title: "A run that is stopped, from the request until the log says that it has",
    async run({ rounds, options }) {
      const ms = await run<{ answerMs: number; commandMs: number }>("./stop.ts", [4 * rounds], options);
      return [
        { what: "while an answer is being written", unit: "ms", value: ms.answerMs, goal: 2_000 },
        { what: "while a command runs that has left another", unit: "ms", value: ms.commandMs, goal: 2_000 },
      ];
    },
  },
  {
    name: "sessions",
    title: "200 sessions at once, 5 turns each, the model takes 200 ms",
    async run({ url, rounds, options }) {
      const args = ["sessions", url, 200, 5, 200];
      const memory: number[] = [];
      const floorMemory: number[] = [];
      const ms = await interleave(Math.min(rounds, 5), {
        floor: async () => {
          const result = await run<ManySessions>(FLOOR, args);
          floorMemory.push(result.rssKbPerSession);
          return result.wallMs;
        },
        ours: async () => {
          const result = await run<ManySessions>(HOLDFAST, args, options);
          memory.push(result.rssKbPerSession);
          return result.wallMs;
        },
      });
      const live = await run<ManySessions>(HOLDFAST, args, { ...options, nodeArgs: ["--expose-gc"] });
      return [
        { what: "all done", unit: "ms", value: ms.ours, floor: ms.floor, goal: 1_800 },
        {
          what: "memory per session, growth of the process",
          unit: "KB",
          value: median(memory),
          floor: median(floorMemory),
          goal: 300,
        },
        {
          what: "memory per session, in use",
          unit: "KB",
          value: live.liveKbPerSession ?? Number.NaN,
          goal: 300,
        },
      ];
    },
  },
  {
    name: "disk",
    title: "Bytes on disk per model call",
    async run({ url, options }) {
      const bytes = async (turns: number) =>
        (await run<{ bytesPerTurn: number }>(HOLDFAST, ["disk", url, turns], options)).bytesPerTurn;
      const at50 = await bytes(50);
      return [
        { what: "50 turns", unit: "B", value: at50 },
        { what: "200 turns", unit: "B", value: await bytes(200), goal: at50 * 1.1 },
      ];
    },
  },
  {
    name: "sandbox",
    title: "A command in a session's sandbox, output read",
    async run({ url, options }) {
      const result = await run<{ kind: string; firstMs: number; nextMs: number }>(
        HOLDFAST,
        ["sandbox", url, 10],
        options,
      );
      return [
        { what: `first of a new sandbox (${result.kind})`, unit: "ms", value: result.firstMs, goal: 50 },
        { what: "next", unit: "ms", value: result.nextMs, goal: 5 },
      ];
    },
  },
  {
    name: "resume",
    title: "200 sessions in the middle of a model call, after SIGKILL",
    async run({ url, rounds, options }) {
      const resumeMs = () => timeToResume(url, 200, options);
      const ms = await interleave(Math.min(rounds, 3), { ours: resumeMs });
      return [
        { what: "from the restart until all have asked again", unit: "ms", value: ms.ours, goal: 1_000 },
      ];
    },
  },
  {
    name: "soak",
    title: "One session of 2,000 turns",
    run: measureSoak,
  },
  {
    name: "waiting",
    title: "1,000 sessions that wait for a person, against one",
    run: measureWaiting,
  },
  {
    name: "context",
    title: "What of a request is new, and what tools take",
    run: async () => (await import("./context.ts")).measureContext(),
  },
  {
    name: "installation",
    title: "The package, installed",
    async run() {
      const { megabytes, helpMs } = await measureInstallation();
      return [
        { what: "size without development dependencies", unit: "MB", value: megabytes, goal: 60 },
        { what: "holdfast --help", unit: "ms", value: helpMs, goal: 150 },
      ];
    },
  },
];

interface ManySessions {
  readonly wallMs: number;
  readonly rssKbPerSession: number;
  /** Where the garbage could be collected before. */
  readonly liveKbPerSession?: number;
}

/** CPU milliseconds per 1,000 of 5,000 pieces. */
async function cpuOfReading(base: string, request: () => Promise<Response>): Promise<number> {
  const before = await cpuOf(base);
  const response = await request();
  if (!response.ok || response.body === null)
    throw new Error(`${base}: ${response.status} ${await response.text()}`);
  for await (const _ of response.body);
  return ((await cpuOf(base)) - before) / 5;
}

async function cpuOf(base: string): Promise<number> {
  const answer = (await (await fetch(`${base}/cpu`)).json()) as { readonly cpuMs: number };
  return answer.cpuMs;
}

function invoke(base: string, wish: string): Promise<Response> {
  return fetch(`${base}/invocations`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ prompt: "Tell me a story.", model: `anthropic/${wish}` }),
  });
}

async function seen(url: string): Promise<{ readonly requests: number; readonly gaps: readonly number[] }> {
  return (await (await fetch(`${url}/seen`)).json()) as Awaited<ReturnType<typeof seen>>;
}

/** Measured at the model server, start of the process included. */
async function timeToResume(url: string, count: number, options: StartOptions): Promise<number> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  try {
    const before = start(HOLDFAST, ["work", url, count, dataDir]);
    await untilSeen(url, (await seen(url)).requests + count, before);
    await before.kill();
    const target = (await seen(url)).requests + count;
    const startedAt = performance.now();
    const after = start(HOLDFAST, ["work", url, 0, dataDir], options);
    await untilSeen(url, target, after);
    const ms = performance.now() - startedAt;
    await after.kill();
    return ms;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function untilSeen(url: string, target: number, program: Program): Promise<void> {
  const deadline = performance.now() + 60_000;
  while ((await seen(url)).requests < target) {
    if (performance.now() > deadline) {
      await program.kill();
      throw new Error(`only ${(await seen(url)).requests} of ${target} requests came within a minute`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
