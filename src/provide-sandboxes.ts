import { createSandboxPool, type SandboxPool } from "./sandboxes/pool.ts";
import type { SandboxDriver, SandboxProbe } from "./sandboxes/sandbox.ts";
import { type Isolation, selectSandbox } from "./sandboxes/select.ts";

export interface SandboxProvision {
  readonly dataDir: string;
  /** Default: all that come with Holdfast. */
  readonly drivers: readonly SandboxDriver[] | undefined;
  /** How long one that outlives this process waits for work. Undefined: the driver's default. */
  readonly idleMs: number | undefined;
  /** Told once for each kind of fall-back. */
  readonly notify: (notice: string) => void;
}

/** The sandboxes of this process. What the machine can run is found out when the first sandbox is needed, and once. */
export function provideSandboxes({ dataDir, drivers, idleMs, notify }: SandboxProvision): SandboxPool {
  let made: Promise<readonly SandboxDriver[]> | undefined;
  const all = () => {
    made ??= drivers === undefined ? sandboxDrivers({ idleMs }) : Promise.resolve(drivers);
    return made;
  };
  let known: Promise<readonly Candidate[]> | undefined;
  const chosen = new Map<Isolation, Promise<SandboxDriver>>();

  async function choose(isolation: Isolation): Promise<SandboxDriver> {
    known ??= all().then(examine);
    const candidates = await known;
    const { kind, notice } = selectSandbox(
      isolation,
      candidates.map(({ probe }) => probe),
    );
    if (notice !== null) notify(notice);
    const candidate = candidates.find(({ driver }) => driver.kind === kind);
    if (candidate === undefined) throw new Error(`no driver for the sandbox kind ${kind}`);
    return candidate.driver;
  }

  function chooseOnce(isolation: Isolation): Promise<SandboxDriver> {
    let driver = chosen.get(isolation);
    if (driver === undefined) {
      driver = choose(isolation);
      chosen.set(isolation, driver);
    }
    return driver;
  }

  const pool = createSandboxPool(dataDir, chooseOnce, all);
  return {
    ...pool,
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await known?.catch(() => []);
      await Promise.all(((await made) ?? []).map((driver) => driver[Symbol.asyncDispose]()));
    },
  };
}

interface Candidate {
  readonly driver: SandboxDriver;
  readonly probe: SandboxProbe;
}

async function examine(drivers: readonly SandboxDriver[]): Promise<readonly Candidate[]> {
  return Promise.all(drivers.map(async (driver) => ({ driver, probe: await driver.probe() })));
}

/** All that come with Holdfast, the strongest first. Loaded when needed, so that commands without a sandbox start fast. */
export async function sandboxDrivers(
  { idleMs }: Pick<SandboxProvision, "idleMs"> = { idleMs: undefined },
): Promise<readonly SandboxDriver[]> {
  const [{ processDriver }, { virtualDriver }, { noneDriver }] = await Promise.all([
    import("./sandboxes/process/process.ts"),
    import("./sandboxes/virtual/virtual.ts"),
    import("./sandboxes/none/none.ts"),
  ]);
  return [processDriver(idleMs === undefined ? {} : { idleMs }), virtualDriver(), noneDriver()];
}
