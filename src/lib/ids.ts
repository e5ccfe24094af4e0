import { hash, randomBytes, randomFillSync } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const pool = new Uint8Array(4096);
let poolOffset = pool.length;

/**
 * A new id: `prefix_` and 26 characters of Crockford base 32 (48 bits of milliseconds, 80 bits of randomness; the
 * layout of a ULID in lower case). Ids sort by the millisecond in which they were made.
 */
export function newId(prefix: string, now: number = Date.now()): string {
  let time = "";
  for (let rest = now, i = 0; i < 10; i++) {
    time = ALPHABET[rest % 32] + time;
    rest = Math.floor(rest / 32);
  }
  return `${prefix}_${time}${randomTail()}`;
}

function randomTail(): string {
  if (poolOffset + 16 > pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  let tail = "";
  for (let i = 0; i < 16; i++) tail += ALPHABET[(pool[poolOffset + i] ?? 0) & 31];
  poolOffset += 16;
  return tail;
}

/** 32 random bytes in base64url: a key that nobody guesses. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** A number in [0, 1), for jitter. */
export function random(): number {
  return randomBytes(4).readUInt32LE() / 2 ** 32;
}

/** SHA-256 in lower-case hex, optionally only its first `length` characters. */
export function sha256(data: string | Uint8Array, length = 64): string {
  return hash("sha256", data, "hex").slice(0, length);
}
