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

/** Milliseconds. @throws AppError `invalid_input` that names the option, and the `unit` that a bare number may have meant. */
export function readDuration(option: string, text: string, unit: "s" | "d" = "s"): number {
  const value = parseDuration(text);
  if (value !== undefined && value > 0) return value;
  throw new AppError("invalid_input", `${option} ${JSON.stringify(text)} is not a duration`, {
    // Ages are days, most often.
    hint: /^\d+$/.test(text)
      ? `Write it with its unit, like "${Number(text) || 1}${unit}".`
      : `Write it like "30s", "5m", "1h30m" or "7d".`,
  });
}

/** The text, if it is a duration; 0 is one here. @throws AppError `invalid_input` that names the option. */
export function checkedDuration(option: string, text: string): string {
  if (parseDuration(text) === undefined) readDuration(option, text);
  return text;
}
