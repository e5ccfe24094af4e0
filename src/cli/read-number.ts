import { AppError } from "../lib/errors.ts";
import { parseDuration } from "../lib/units.ts";

/** @throws AppError `invalid_input` that names the option. */
export function readInteger(
  option: string,
  text: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new AppError(
    "invalid_input",
    `${option} ${JSON.stringify(text)} is not a number from ${min} to ${max}`,
  );
}

/** Milliseconds. @throws AppError `invalid_input` that names the option. */
export function readDuration(option: string, text: string): number {
  const value = parseDuration(text);
  if (value !== undefined && value > 0) return value;
  throw new AppError("invalid_input", `${option} ${JSON.stringify(text)} is not a duration`, {
    hint: 'Write it like "30s", "5m" or "1h30m".',
  });
}
