import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Writes data/sales.csv: 26 weeks of a small grocery chain, one row per store and day, with a weekly rhythm, some growth,
 * noise, and eight things that went wrong. The same seed gives the same file, byte for byte.
 *
 *     node examples/analyst/make-data.ts [file]
 */
const SEED = 20260105;
const FIRST_DAY = Date.UTC(2026, 0, 5);
const DAYS = 26 * 7;
const HEADER = "date,store,orders,revenue,refunds";

interface Store {
  readonly name: string;
  /** Orders on an ordinary Thursday. */
  readonly orders: number;
  /** Dollars per order. */
  readonly basket: number;
}

const STORES: readonly Store[] = [
  { name: "airport", orders: 640, basket: 14.2 },
  { name: "brewery-lane", orders: 210, basket: 31.5 },
  { name: "canal-street", orders: 380, basket: 22.8 },
  { name: "dockside", orders: 150, basket: 41.0 },
  { name: "east-market", orders: 520, basket: 18.6 },
  { name: "foundry", orders: 260, basket: 27.4 },
  { name: "garden-hill", orders: 180, basket: 36.9 },
  { name: "harbour", orders: 430, basket: 24.1 },
  { name: "ironworks", orders: 240, basket: 29.3 },
  { name: "junction", orders: 710, basket: 12.7 },
  { name: "kings-road", orders: 340, basket: 33.8 },
  { name: "lakeview", orders: 200, basket: 28.2 },
];

/** Monday to Sunday, as a share of an ordinary day. */
const WEEK = [0.88, 0.86, 0.92, 1.0, 1.14, 1.72, 1.48];
const GROWTH_OVER_PERIOD = 0.06;
const REFUND_SHARE = 0.018;

interface Row {
  readonly date: string;
  readonly store: string;
  readonly orders: number;
  readonly revenue: number;
  readonly refunds: number;
}

/**
 * What the analyst should find. `kind` is the word that a good report uses for it; `from` and `to` are days of the period,
 * counted from 0.
 */
export interface PlantedAnomaly {
  readonly store: string;
  readonly kind: "spike" | "closed" | "drop" | "amount" | "refunds" | "duplicate" | "missing";
  readonly from: number;
  readonly to: number;
  readonly story: string;
  /** Zero, one or two rows instead of the ordinary one. */
  readonly change: (row: Row) => readonly Row[];
}

export const PLANTED: readonly PlantedAnomaly[] = [
  {
    store: "dockside",
    kind: "spike",
    from: 66,
    to: 66,
    story: "a street festival: 2.6 times the orders",
    change: (row) => [scaled(row, 2.6)],
  },
  {
    store: "harbour",
    kind: "spike",
    from: 130,
    to: 130,
    story: "a cruise ship stays for a day: 1.9 times the orders",
    change: (row) => [scaled(row, 1.9)],
  },
  {
    store: "east-market",
    kind: "closed",
    from: 37,
    to: 37,
    story: "a power cut: a handful of orders before the doors closed",
    change: (row) => [scaled(row, 0.03)],
  },
  {
    store: "lakeview",
    kind: "drop",
    from: 95,
    to: 105,
    story: "road works for eleven days: a little more than half of the orders",
    change: (row) => [scaled(row, 0.54)],
  },
  {
    store: "kings-road",
    kind: "amount",
    from: 114,
    to: 114,
    story: "a slipped decimal point: ten times the revenue with the usual orders",
    change: (row) => [{ ...row, revenue: cents(row.revenue * 10) }],
  },
  {
    store: "junction",
    kind: "refunds",
    from: 152,
    to: 153,
    story: "a recalled product: refunds of about a sixth of the revenue on two days",
    change: (row) => [{ ...row, refunds: cents(row.revenue * 0.165) }],
  },
  {
    store: "foundry",
    kind: "duplicate",
    from: 81,
    to: 81,
    story: "a file imported twice",
    change: (row) => [row, row],
  },
  {
    store: "brewery-lane",
    kind: "missing",
    from: 143,
    to: 144,
    story: "a till that did not report for two days",
    change: () => [],
  },
];

export function makeSales(seed: number = SEED): string {
  const random = randomFrom(seed);
  const lines = [HEADER];
  for (let day = 0; day < DAYS; day++) {
    for (const store of STORES) {
      const ordinary = ordinaryRow(store, day, random);
      const planted = PLANTED.find((p) => p.store === store.name && p.from <= day && day <= p.to);
      for (const row of planted?.change(ordinary) ?? [ordinary]) lines.push(csvLine(row));
    }
  }
  return `${lines.join("\n")}\n`;
}

/** "2026-01-05" for 0. */
export function dateOf(day: number): string {
  return new Date(FIRST_DAY + day * 86_400_000).toISOString().slice(0, 10);
}

function ordinaryRow(store: Store, day: number, random: () => number): Row {
  const growth = 1 + (GROWTH_OVER_PERIOD * day) / DAYS;
  const orders = Math.round(store.orders * (WEEK[day % 7] ?? 1) * growth * (1 + 0.045 * normal(random)));
  const revenue = cents(orders * store.basket * (1 + 0.025 * normal(random)));
  const refunds = cents(revenue * REFUND_SHARE * Math.exp(0.3 * normal(random)));
  return { date: dateOf(day), store: store.name, orders, revenue, refunds };
}

function scaled(row: Row, factor: number): Row {
  return {
    ...row,
    orders: Math.round(row.orders * factor),
    revenue: cents(row.revenue * factor),
    refunds: cents(row.refunds * factor),
  };
}

function csvLine(row: Row): string {
  return [row.date, row.store, row.orders, row.revenue.toFixed(2), row.refunds.toFixed(2)].join(",");
}

function cents(dollars: number): number {
  return Math.round(dollars * 100) / 100;
}

/** mulberry32: small, seeded, good enough for made-up shops. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A draw from the standard normal distribution, cut at three so that only what is planted stands out. */
function normal(random: () => number): number {
  const draw = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.max(-3, Math.min(3, draw));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = process.argv[2] ?? fileURLToPath(new URL("./data/sales.csv", import.meta.url));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, makeSales());
  console.log(`wrote ${file}`);
}
