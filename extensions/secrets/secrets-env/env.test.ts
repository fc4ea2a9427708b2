import type { PluginApi, SecretsProvider } from 'Durar/plugin-sdk/core';
import { expect, it } from 'vitest';
import { secretsProviderContract } from '../../../sdk/contract/secrets-provider.ts';
import { type BrokenBackend, type SecretsFault, SPILLED, secretsProviderFaults } from '../../../sdk/contract/secrets-provider-faults.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import entry from './index.ts';
import { createEnvSecrets } from './provider.ts';

const env = { OPENAI_API_KEY: 'sk-one', OTHER_KEY: 'sk-two', EMPTY: '', lower: 'sk-three', Durar_GATEWAY_TOKEN: 'sk-four' };

const sound = () => ({
  provider: createEnvSecrets({}),
  config: { source: 'env' },
  env: { ...env },
  known: { OPENAI_API_KEY: 'sk-one', OTHER_KEY: 'sk-two' },
  unknown: 'NOT_SET',
});

/** An environment neither hangs nor speaks; what is set in it is a text. */
const BROKEN: Partial<Record<SecretsFault, BrokenBackend>> = {
  strangers: { env: { ANOTHER: SPILLED } },
  types: { env: { OPENAI_API_KEY: '', OTHER_KEY: '' } },
  prototype: { env: Object.create({ OPENAI_API_KEY: SPILLED, OTHER_KEY: SPILLED }) },
};

describeContract(secretsProviderContract, sound);
describeContract(secretsProviderFaults, () => ({ ...sound(), broken: (fault) => BROKEN[fault] }));

it.each([
  ['NOT_SET', 'the environment variable NOT_SET is not set'],
  ['EMPTY', 'the environment variable EMPTY is empty'],
  ['lower', 'the id is not the name of an environment variable'],
  ['A'.repeat(129), 'the id is not the name of an environment variable'],
  ['OPENAI-API-KEY', 'the id is not the name of an environment variable'],
])('%s does not resolve (SEC-053, SEC-072, SEC-073)', async (id, reason) => {
  const { values, errors } = await createEnvSecrets(env).resolve({ provider: 'default', config: { source: 'env' }, ids: [id] });
  expect(values).toEqual({});
  expect(errors).toEqual({ [id]: reason });
});

it("takes the product's own variables, and names of 128 characters", async () => {
  const long = 'A'.repeat(128);
  const { values } = await createEnvSecrets({ ...env, [long]: 'x' }).resolve({ provider: 'default', config: {}, ids: ['Durar_GATEWAY_TOKEN', long] });
  expect(values).toEqual({ Durar_GATEWAY_TOKEN: 'sk-four', [long]: 'x' });
});

it.each([[['OTHER_KEY']], [[]], ['OPENAI_API_KEY'], [null]])('allowlist %j keeps other names out (SEC-071)', async (allowlist) => {
  const { values, errors } = await createEnvSecrets(env).resolve({ provider: 'default', config: { allowlist }, ids: ['OPENAI_API_KEY'] });
  expect(values).toEqual({});
  expect(errors).toEqual({ OPENAI_API_KEY: 'the allowlist does not have OPENAI_API_KEY' });
});

it('the extension reads the environment of the process, unless it is handed a fuller one', async () => {
  let provider: SecretsProvider | undefined;
  await entry.register({
    registerSecretsProvider: (value: SecretsProvider) => {
      provider = value;
      return { ok: true };
    },
  } as PluginApi);
  process.env.DURAR_TEST_SECRET = 'from-process';
  try {
    const call = { provider: 'default', config: { source: 'env' }, ids: ['DURAR_TEST_SECRET'] };
    expect((await provider?.resolve(call))?.values).toEqual({ DURAR_TEST_SECRET: 'from-process' });
    expect((await provider?.resolve({ ...call, env: { DURAR_TEST_SECRET: 'from-file' } }))?.values).toEqual({ DURAR_TEST_SECRET: 'from-file' });
  } finally {
    delete process.env.DURAR_TEST_SECRET;
  }
});
