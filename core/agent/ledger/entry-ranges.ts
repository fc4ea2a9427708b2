/** Places of entries in a session as ranges, both ends included, ascending and apart: a long context is a few of them. */
export type EntryRanges = ReadonlyArray<readonly [first: number, last: number]>;

export function toRanges(places: Iterable<number>): EntryRanges {
  const ranges: Array<[number, number]> = [];
  for (const place of [...places].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && place <= last[1] + 1) last[1] = Math.max(last[1], place);
    else ranges.push([place, place]);
  }
  return ranges;
}

/** What is in any of them. */
export function unite(all: readonly EntryRanges[]): EntryRanges {
  const ranges: Array<[number, number]> = [];
  for (const [first, end] of all.flat().sort((a, b) => a[0] - b[0])) {
    const last = ranges.at(-1);
    if (last !== undefined && first <= last[1] + 1) last[1] = Math.max(last[1], end);
    else ranges.push([first, end]);
  }
  return ranges;
}

/** What is in `ranges` and not in `without`. */
export function subtract(ranges: EntryRanges, without: EntryRanges): EntryRanges {
  const left: Array<readonly [number, number]> = [];
  for (const [first, last] of ranges) {
    let from = first;
    for (const [begin, end] of without) {
      if (end < from) continue;
      if (begin > last) break;
      if (begin > from) left.push([from, begin - 1]);
      from = end + 1;
    }
    if (from <= last) left.push([from, last]);
  }
  return left;
}

export function countPlaces(ranges: EntryRanges): number {
  return ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

/** The first `limit` of them. */
export function firstPlaces(ranges: EntryRanges, limit: number): number[] {
  const places: number[] = [];
  for (const [first, last] of ranges) {
    for (let place = first; place <= last; place += 1) {
      if (places.length === limit) return places;
      places.push(place);
    }
  }
  return places;
}
