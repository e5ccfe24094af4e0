/** The port to sessions that nobody uses any more, and to who looks for them. Implemented by the same stores as the log. */
export interface Retention {
  /**
   * Up to `limit` ids of sessions of an agent that have nothing to do and that nobody has used since, the oldest first. One that waits
   * for a person is not among them.
   */
  unused(query: UnusedQuery): Promise<readonly string[]>;

  /** True for one caller in any `everyMs`, over all processes: whose turn it is to do what one of them has to do now and then. */
  takeTurn(chore: string, everyMs: number): Promise<boolean>;
}

export interface UnusedQuery {
  readonly agent: string;
  /** Milliseconds since 1970: its last message, answer or run is from before. */
  readonly since: number;
  /** Only those whose last run was given up because nobody has answered. */
  readonly onlyAbandoned: boolean;
  readonly limit: number;
}
