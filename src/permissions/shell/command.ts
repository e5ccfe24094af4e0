export interface ShellCommand {
  /** Its name first; without quotes. Never empty. */
  readonly words: readonly string[];
  /** As it stands in the line; absent where another command starts it. */
  readonly source?: string;
  /** Does nothing but start another command of the line, so it needs no rule of its own. */
  readonly isWrapper: boolean;
  /** What starts it, and how much of that stands before its own name ends. */
  readonly startedBy: { readonly words: readonly string[]; readonly prefix: string } | null;
}

/** `/bin/rm` is `rm` to a rule that forbids, and to what is known of commands that start others. */
export function baseName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
