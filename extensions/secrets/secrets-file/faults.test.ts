import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SecretsFault, SPILLED, secretsProviderFaults } from '../../../sdk/contract/secrets-provider-faults.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { createFileSecrets } from './provider.ts';

const known = { '/one': 'sk-one-1', '/two': 'sk-two-2' };
const spilled = JSON.stringify({ one: SPILLED, two: SPILLED });

/** What the file holds. A file says nothing beside its content, and does not hang on a disk of this machine. */
const CONTENTS: Partial<Record<SecretsFault, string>> = {
  flood: JSON.stringify({ one: SPILLED.repeat(1_000), two: SPILLED }),
  failure: spilled,
  half: `${SPILLED} ${spilled.slice(0, -4)}`,
  strangers: JSON.stringify({ other: SPILLED, 'one/': SPILLED }),
  types: JSON.stringify({ one: [SPILLED], two: '' }),
  prototype: `{"__proto__":${spilled}}`,
};

describeContract(secretsProviderFaults, async () => {
  const home = await mkdtemp(join(tmpdir(), 'durar-file-'));
  const path = (name: string) => join(home, `${name}.json`);
  await writeFile(path('sound'), JSON.stringify({ one: 'sk-one-1', two: 'sk-two-2' }), { mode: 0o600 });
  for (const [fault, content] of Object.entries(CONTENTS)) await writeFile(path(fault), content, { mode: 0o600 });
  await chmod(path('failure'), 0o644);
  return {
    provider: createFileSecrets({ stateDir: () => home }),
    config: { source: 'file', path: path('sound') },
    env: {},
    known,
    unknown: '/missing',
    broken: (fault) => (CONTENTS[fault] === undefined ? undefined : { config: { path: path(fault), maxBytes: 10_000 } }),
    dispose: () => rm(home, { recursive: true }),
  };
});
