import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SecretsFault, SPILLED, secretsProviderFaults } from '../../../sdk/contract/secrets-provider-faults.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { createExecSecrets } from './provider.ts';

const known = { 'one/key': 'sk-one-1', 'two/key': 'sk-two-2' };
const answer = (values: unknown) => JSON.stringify({ protocolVersion: 1, values });
const spilled = answer({ 'one/key': SPILLED, 'two/key': SPILLED });

/** What the program does after it has read the request. */
const BODIES: Record<SecretsFault | 'sound', string> = {
  sound: `echo '${answer(known)}'`,
  hang: `echo ${SPILLED} >&2; sleep 60 & wait`,
  flood: `while true; do echo ${SPILLED}; done`,
  noise: `echo '${SPILLED} is deprecated' >&2; echo '${answer(known)}'`,
  failure: `echo '${spilled}'; echo 'bad token ${SPILLED}' >&2; exit 1`,
  half: `printf '%s' '${spilled.slice(0, -4)}'`,
  strangers: `echo '${JSON.stringify({ protocolVersion: 1, values: { other: SPILLED }, errors: { third: { message: SPILLED } } })}'`,
  types: `echo '${answer({ 'one/key': [SPILLED], 'two/key': '' })}'`,
  prototype: `echo '{"protocolVersion":1,"values":{"__proto__":{"one/key":"${SPILLED}","two/key":"${SPILLED}"}}}'`,
};

describeContract(secretsProviderFaults, async () => {
  const home = await mkdtemp(join(tmpdir(), 'durar-exec-'));
  await Promise.all(Object.entries(BODIES).map(([name, body]) => writeFile(join(home, name), `#!/bin/bash\nread -r request\n${body}\n`, { mode: 0o700 })));
  const config = (name: string) => ({ source: 'exec', command: join(home, name), passEnv: ['PATH'] });
  return {
    provider: createExecSecrets(),
    config: config('sound'),
    env: { PATH: process.env.PATH ?? '' },
    known,
    unknown: 'missing',
    broken: (fault) => ({ config: { ...config(fault), timeoutMs: fault === 'hang' ? 500 : 60_000 } }),
    dispose: () => rm(home, { recursive: true }),
  };
});
