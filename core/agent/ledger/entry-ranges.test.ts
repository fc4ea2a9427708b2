import { expect, it } from 'vitest';
import { countPlaces, firstPlaces, subtract, toRanges, unite } from './entry-ranges.ts';

it('does with ranges what sets do', () => {
  let state = 7;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 300; round += 1) {
    const sets = [0, 1, 2].map(() => new Set(Array.from({ length: random(20) }, () => random(30))));
    const [a, b, c] = sets.map(toRanges) as [ReturnType<typeof toRanges>, ReturnType<typeof toRanges>, ReturnType<typeof toRanges>];
    const sorted = (places: Iterable<number>) => [...places].sort((one, other) => one - other);
    const all = new Set([...(sets[1] ?? []), ...(sets[2] ?? [])]);
    expect(firstPlaces(unite([b, c]), 99)).toEqual(sorted(all));
    expect(countPlaces(unite([b, c]))).toBe(all.size);
    expect(firstPlaces(subtract(unite([b, c]), a), 99)).toEqual(sorted([...all].filter((place) => sets[0]?.has(place) !== true)));
    expect(firstPlaces(a, 3)).toEqual(sorted(sets[0] ?? []).slice(0, 3));
  }
  expect(toRanges([3, 1, 2, 7])).toEqual([
    [1, 3],
    [7, 7],
  ]);
});
