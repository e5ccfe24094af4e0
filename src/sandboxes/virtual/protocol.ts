/** What the driver and its worker process tell each other. One command at a time. */

/** Handed to a worker when it is started, as JSON. */
export interface WorkerSetup {
  /** Directory on the host that commands see as `/workspace`. */
  readonly workspace: string;
  /** Directory on the host that commands see as `/tmp`. */
  readonly temporary: string;
  readonly maxFileBytes: number;
  readonly memoryMegabytes: number;
}

export interface RunCommand {
  readonly command: string;
  /** As commands see it. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Uint8Array | undefined;
}

export interface CommandEnded {
  readonly exitCode: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

/** Where commands see the workspace. */
export const VIRTUAL_ROOT = "/workspace";

/** Exit status of a worker whose command needed more memory than it may. */
export const OUT_OF_MEMORY = 77;
