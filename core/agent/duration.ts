const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds of a configured duration such as `30m` or `1h30m`; a number without a unit counts in `unit` (milliseconds). */
export function readDuration(value: string | number, unit: number): number {
  if (typeof value === 'number') return value * unit;
  let sum = 0;
  for (const [, count, name] of value.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?/g)) {
    sum += Number(count) * (name === undefined ? unit : (UNITS[name] ?? unit));
  }
  return sum;
}
