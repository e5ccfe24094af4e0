/**
 * The port to a place where commands run and files live: one per session, opened at the first call that needs it.
 * `testing/sandbox-contract.ts` says what each driver must do; `capabilities` says what it really enforces.
 *
 * Paths are absolute inside the sandbox or relative to `root`. File operations cannot leave the workspace: not by `..`,
 * not by an absolute path, not by a symbolic link, also when the link is swapped during the call.
 */
export interface SandboxDriver extends AsyncDisposable {
  readonly kind: SandboxKind;

  /** Finds out by trying whether this machine can run it. Never throws. */
  probe(): Promise<SandboxProbe>;

  /** Starts the session's sandbox, or connects to the one that a runtime before us left running. */
  open(spec: SandboxSpec): Promise<Sandbox>;

  /**
   * Ends and removes whatever `open` made for this session (not the workspace), also when another process made it. With the
   * `stateDir` of its spec it is certainly that one: sessions of another data directory may have the same id.
   */
  destroy(sessionId: string, stateDir?: string): Promise<void>;

  /**
   * Ends what runs in it, whichever process started it. The session goes on: whoever has it open is given a new one at the next
   * use. Absent where no other process can have it open.
   */
  end?(sessionId: string, stateDir: string): Promise<void>;
}

export type SandboxKind = "process" | "virtual" | "none";

export interface SandboxProbe {
  readonly kind: SandboxKind;
  readonly available: boolean;
  /** Why not, and the one command that would change it. Null when available. */
  readonly problem: { readonly reason: string; readonly fix: string | null } | null;
  readonly capabilities: SandboxCapabilities;
}

export interface SandboxCapabilities {
  /** What separates commands from the host. */
  readonly isolation: "namespaces" | "interpreter" | "none";
  /** A command outlives the runtime process, and `attach` finds it again. */
  readonly survivesRestart: boolean;
  /** `hard`: cannot be exceeded in sum. `perProcess`: each process is limited. `none`: not enforced. */
  readonly limits: Readonly<
    Record<"memory" | "processes" | "fileSize" | "cpu", "hard" | "perProcess" | "none">
  >;
  /** Whether commands can reach a network. */
  readonly network: "none" | "host";
  /** Real programs of the system can be run (python, git), not only built-in ones. */
  readonly realPrograms: boolean;
}

export interface SandboxSpec {
  readonly sessionId: string;
  /** Directory on the host that is the session's workspace. Exists. */
  readonly workspace: string;
  /** Directory on the host for the driver's own files (sockets, logs); not visible inside. Exists. */
  readonly stateDir: string;
  readonly limits: SandboxLimits;
}

export interface SandboxLimits {
  readonly memoryBytes: number;
  readonly processes: number;
  readonly fileSizeBytes: number;
  readonly cpus: number;
}

export interface Sandbox extends AsyncDisposable {
  readonly kind: SandboxKind;
  readonly capabilities: SandboxCapabilities;
  /** The workspace's path as commands see it, for example "/workspace". */
  readonly root: string;

  /**
   * Starts a command. Resolves as soon as it runs. When `operationId` names an operation that the sandbox has seen,
   * nothing is started: this is then the same as `attach`.
   */
  exec(spec: ExecSpec): Promise<Execution>;

  /**
   * The operation with this id, running or finished, with its kept output from the start.
   *
   * `undefined` means that it certainly never started, and its caller then starts it: in a driver with `survivesRestart`
   * that must also hold when the sandbox itself had to be started anew (it was killed, the machine rebooted). So such a
   * driver notes the id durably in `stateDir` before it starts a command, and `destroy` leaves that note. An operation that
   * is noted but unknown to the running sandbox is an execution without output whose `result` rejects with AppError
   * `unavailable`. Only an operation whose result was delivered, and after which thousands of others were started, may be
   * forgotten. In a driver without `survivesRestart` it only means that this process did not start it.
   */
  attach(operationId: string): Promise<Execution | undefined>;

  /** Reads a regular file. Undefined when it does not exist. @throws AppError `invalid_input` for a directory, device or FIFO, `forbidden` outside the workspace. */
  readFile(
    path: string,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<FileContent | undefined>;

  /** Writes a whole file (or appends), making parent directories. A crash leaves the old or the new content, never a part. */
  writeFile(path: string, content: Uint8Array, options?: { readonly append?: boolean }): Promise<void>;

  /** Follows symbolic links that stay in the workspace. Undefined when there is nothing. */
  stat(path: string): Promise<FileStat | undefined>;

  /** The entries of one directory, by name. Undefined when it does not exist. */
  listDirectory(path: string): Promise<readonly DirectoryEntry[] | undefined>;

  /** Deletes a file or, with `recursive`, a directory. False when there was nothing. */
  deleteFile(path: string, options?: { readonly recursive?: boolean }): Promise<boolean>;

  /** Ends every process in it and removes it; the workspace stays. Disposing only disconnects. */
  destroy(): Promise<void>;
}

export interface ExecSpec {
  readonly operationId: string;
  /** A bash script, run by `bash -c`. */
  readonly command: string;
  /** Default: the workspace. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Uint8Array;
  /** After this the whole process tree is killed. Enforced inside, so it holds while no runtime is connected. */
  readonly timeoutMs: number;
}

export interface Execution extends AsyncDisposable {
  readonly operationId: string;
  /**
   * Output in the order in which it arrived; ends when the command has ended. Read once. A reader that is slow slows the
   * command down (bounded buffers), so read it or dispose of the execution, which lets the command go on unread.
   */
  readonly output: AsyncIterable<OutputChunk>;
  /** Settles when the command has ended. Rejects with AppError `unavailable` when the sandbox died under it. */
  readonly result: Promise<ExecResult>;
  /** Ends the command and everything that it started, daemons included. Resolves when they are gone. */
  kill(): Promise<void>;
}

export interface OutputChunk {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

export interface ExecResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** For example "SIGKILL". */
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** Ended by `kill`. */
  readonly killed: boolean;
  readonly durationMs: number;
  /** Bytes of output that the sandbox did not keep for a reader that attached late. */
  readonly droppedBytes: number;
}

export interface FileContent {
  readonly bytes: Uint8Array;
  /** Size of the whole file in bytes. */
  readonly size: number;
}

export interface FileStat {
  readonly type: "file" | "directory" | "other";
  readonly size: number;
  /** Integer milliseconds since 1970. */
  readonly modifiedAt: number;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly type: "file" | "directory" | "symlink" | "other";
  readonly size: number;
}
