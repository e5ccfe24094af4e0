const DURATION_UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION_PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

const SIZE_UNITS = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;

/** What `parseDuration` reads: one or more numbers with a unit, without spaces. For JSON Schema and editors. */
export const durationPattern = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;

/** What `parseSize` reads. */
export const sizePattern = /^(\d+(?:\.\d+)?) ?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;

/** The longest time that a timer of Node can wait: a little under 25 days. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** "2026-01-31": the day of a time in milliseconds since 1970, in UTC. */
export function utcDay(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** "30s", "1h30m", "250ms" as integer milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (!durationPattern.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(DURATION_PART)) {
    total += Number(amount) * DURATION_UNITS[unit as keyof typeof DURATION_UNITS];
  }
  return Math.round(total);
}

/** "2GiB", "512 MB" as whole bytes; undefined for anything else. KB counts 1,000 and KiB 1,024. */
export function parseSize(text: string): number | undefined {
  const match = sizePattern.exec(text);
  if (match === null) return undefined;
  return Math.floor(Number(match[1]) * SIZE_UNITS[match[2] as keyof typeof SIZE_UNITS]);
}

/** The inverse of `parseSize`, in units of 1,024: 10485760 is "10 MiB", 1500 is "1.5 KiB". */
export function formatSize(bytes: number): string {
  let unit = 0;
  let value = bytes;
  for (; value >= 1_024 && unit < BINARY_UNITS.length - 1; unit++) value /= 1_024;
  return `${Number(value.toFixed(1))} ${BINARY_UNITS[unit]}`;
}

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** An amount of US dollars: "$0.0042", "$1.25". */
export function formatDollars(usd: number): string {
  return `$${usd.toFixed(usd < 0.1 ? 4 : 2)}`;
}
