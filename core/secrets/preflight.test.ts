import { describe, expect, it } from 'vitest';
import type { SecretsProvider } from '../../sdk/index.ts';
import { askUntilValid, preflightRef } from './preflight.ts';

/** Sources with one secret each, and one that is no text. */
const VALUES: Record<string, unknown> = { TOKEN: 't', '/token': 't', 'gateway/token': 't', '/object': { a: 1 } };
const source = async (name: string): Promise<SecretsProvider | undefined> =>
  ['env', 'file', 'exec'].includes(name)
    ? { source: name, resolve: async ({ ids }) => ({ values: Object.fromEntries(ids.filter((id) => id in VALUES).map((id) => [id, VALUES[id]])) }) }
    : undefined;
const settings = {
  providers: { files: { source: 'file' }, vault: { source: 'exec' }, odd: { source: 'odd' } },
  defaults: {},
  resolution: { maxProviderConcurrency: 4, maxRefsPerProvider: 512, maxBatchBytes: 262_144 },
};
const check = (ref: { source: string; provider: string; id: string }) => preflightRef(ref, { settings, env: {}, source });

describe('the preflight of a reference', () => {
  it.each([
    ['env', 'default', 'TOKEN'],
    ['file', 'files', '/token'],
    ['exec', 'vault', 'gateway/token'],
  ])('passes one that resolves, such as that of gateway.auth.token: %s (SEC-046, SEC-048)', async (name, provider, id) => {
    expect(await check({ source: name, provider, id })).toEqual({ value: 't' });
  });

  it.each([
    ['a bad variable name (SEC-043)', { source: 'env', provider: 'default', id: 'bad-name' }, 'its id must be the name of an environment variable'],
    ['a variable that is not set (SEC-044)', { source: 'env', provider: 'default', id: 'UNSET' }, 'has no value'],
    ['a provider that is not configured (SEC-045)', { source: 'file', provider: 'nobody', id: '/token' }, 'secrets.providers.nobody is not configured'],
    ['a provider of another source (SEC-045)', { source: 'file', provider: 'vault', id: '/token' }, "has the source 'exec'"],
    ['an id that is not there (SEC-046, SEC-048)', { source: 'file', provider: 'files', id: '/missing' }, 'has no value'],
    ['a value that is no text (SEC-047)', { source: 'file', provider: 'files', id: '/object' }, 'its value is not a text'],
    ['a source that nothing serves (SEC-045)', { source: 'odd', provider: 'odd', id: 'x' }, "no installed extension serves the secret source 'odd'"],
  ])('refuses %s', async (_name, ref, reason) => {
    expect(await check(ref)).toEqual({ problem: expect.stringContaining(reason) });
  });

  it('tells what is wrong and asks again until it is right, or nobody answers (SEC-042, SEC-049)', async () => {
    const answers = ['first', 'second', 'right', 'never asked'];
    const told: string[] = [];
    const steps = (valid: string) => ({
      ask: async () => answers.shift(),
      check: async (answer: string) => (answer === valid ? undefined : `not ${answer}`),
      tell: (problem: string) => void told.push(problem),
    });
    expect(await askUntilValid(steps('right'))).toBe('right');
    expect(told).toEqual(['not first', 'not second']);
    expect(await askUntilValid(steps('nothing'))).toBeUndefined();
  });
});
