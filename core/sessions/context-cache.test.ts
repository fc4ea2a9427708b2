import { expect, it } from 'vitest';
import { createContextCache } from './context-cache.ts';
import { emptyContext } from './live-context.ts';

it('is bounded by count and by size, and keeps what was used last', () => {
  const cache = createContextCache({ sessions: 3, chars: 100 });
  for (const id of ['a', 'b', 'c']) cache.set(id, { ...emptyContext(), chars: 10 });
  cache.get('a');
  cache.set('d', { ...emptyContext(), chars: 10 });
  expect(['a', 'b', 'c', 'd'].filter((id) => cache.get(id) !== undefined)).toEqual(['a', 'c', 'd']);
  cache.set('a', { ...emptyContext(), chars: 85 });
  expect(['a', 'c', 'd'].filter((id) => cache.get(id) !== undefined)).toEqual(['a', 'd']);
  cache.set('e', { ...emptyContext(), chars: 1_000 });
  expect(['a', 'd', 'e'].filter((id) => cache.get(id) !== undefined)).toEqual(['e']);
  cache.delete('e');
  cache.set('f', { ...emptyContext(), chars: 99 });
  expect(cache.get('f')).toBeDefined();
});
