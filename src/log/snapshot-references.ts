/** The port to which snapshots are named by anything that is kept. One implementation per database, beside the log. */
export interface SnapshotReferences {
  /** By sessions that are there, on any branch of them; also what their files have yet to become. */
  snapshotsInUse(): Promise<ReadonlySet<string>>;
}
