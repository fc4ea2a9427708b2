import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { describeContract } from '../../test/contract-adapter.ts';
import type { SecretsProvider } from '../ports/secrets-provider.ts';
import { runContract, runContractCase } from './contract.ts';
import { type SecretsContractContext, secretsProviderContract } from './secrets-provider.ts';
import { type SecretsFault, type SecretsFaultContext, SPILLED, secretsProviderFaults } from './secrets-provider-faults.ts';

type Resolve = SecretsProvider['resolve'];

const known = { one: 'value-1', two: 'value-2' };
const good = JSON.stringify(known);
const SPILL = JSON.stringify({ one: SPILLED, two: SPILLED });

/** What the backend prints; undefined: nothing, ever. */
const PRINTED: Record<SecretsFault, string | undefined> = {
  hang: undefined,
  flood: `{"one":"${SPILLED.repeat(1_000)}"}`,
  noise: `${SPILLED} is old\n${good}`,
  failure: `exit 1\n${SPILL}`,
  half: SPILL.slice(0, -3),
  strangers: JSON.stringify({ other: SPILLED, third: SPILLED }),
  types: JSON.stringify({ one: [SPILLED], two: '' }),
  prototype: `{"__proto__":${SPILL}}`,
};

/** A backend that stands in the configuration, read without a mistake. */
const sound: Resolve = async ({ config, ids, signal }) => {
  if (config.printed === undefined) await sleep(300, undefined, { signal }).then(() => Promise.reject(new Error('it did not answer')));
  const printed = String(config.printed);
  if (printed.length > 5_000) throw new Error('it printed too much');
  if (printed.startsWith('exit 1')) throw new Error('it ended with exit code 1');
  const answer = parse(printed.slice(printed.indexOf('{')));
  const values: Record<string, unknown> = {};
  const errors: Record<string, string> = {};
  for (const id of ids) {
    const value = Object.hasOwn(answer, id) ? answer[id] : undefined;
    if (typeof value === 'string' && value !== '') values[id] = value;
    else errors[id] = 'it has no text for this id';
  }
  return { values, errors };
};

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
}

const context = (resolve: Resolve): SecretsFaultContext => ({
  provider: { source: 'printed', resolve },
  config: { printed: good },
  known,
  unknown: 'missing',
  broken: (fault) => ({ config: { printed: PRINTED[fault] } }),
});

describeContract(secretsProviderContract, () => context(sound));
describeContract(secretsProviderFaults, () => context(sound));

/** Mistakes, each with the fault that shows it and what the suite says of it. */
const MISTAKES: Array<[SecretsFault, string, Resolve, RegExp]> = [
  ['hang', 'does not listen to its signal', (call) => (call.config.printed === undefined ? sleep(60_000, never, { ref: false }) : sound(call)), /did not end/],
  ['flood', 'takes all there is', async ({ config, ids }) => ({ values: pick(parse(String(config.printed)), ids) }), /there are values/],
  ['noise', 'expects nothing but the answer', async ({ config, ids }) => ({ values: pick(parse(String(config.printed)), ids) }), /Expected|deep/i],
  [
    'noise',
    'passes the noise on',
    async (call) => ({ ...(await sound(call)), errors: { one: String(call.config.printed).slice(0, 40) } }),
    /tells what the backend said/,
  ],
  [
    'failure',
    'does not look at the exit code',
    ({ config, ...call }) => sound({ ...call, config: { printed: String(config.printed).replace('exit 1', '') } }),
    /there are values/,
  ],
  [
    'failure',
    'shows what a failed program printed',
    async (call) => {
      const printed = String(call.config.printed);
      if (printed.startsWith('exit 1')) throw new Error('it failed', { cause: new Error(printed) });
      return sound(call);
    },
    /tells what the backend said/,
  ],
  [
    'noise',
    'leaves the error to the parser',
    async ({ config, ids }) => ({ values: pick(JSON.parse(String(config.printed)), ids) }),
    /tells what the backend said/,
  ],
  [
    'half',
    'mends what is cut off',
    async ({ config, ids }) => ({
      values: pick(Object.fromEntries([...String(config.printed).matchAll(/"(\w+)":"([^"]+)/g)].map(([, id, value]) => [id, value])), ids),
    }),
    /there are values/,
  ],
  ['strangers', 'passes the answer on as it came', async ({ config }) => ({ values: parse(String(config.printed)) }), /nobody asked for/],
  ['strangers', 'has no reason', async (call) => ({ values: (await sound(call)).values }), /no reasons/],
  ['types', 'takes every value', async ({ config, ids }) => ({ values: pick(parse(String(config.printed)), ids) }), /there are values/],
  [
    'prototype',
    'merges the answer into an object',
    async ({ config, ids }) => {
      const answer: Record<string, unknown> = {};
      for (const [key, value] of Object.entries(parse(String(config.printed)))) answer[key] = value;
      return { values: Object.fromEntries(ids.flatMap((id) => (answer[id] === undefined ? [] : [[id, answer[id]]]))), errors: {} };
    },
    /there are values/,
  ],
];

const never = { values: {} };
const pick = (answer: Record<string, unknown>, ids: string[]) =>
  Object.fromEntries(ids.filter((id) => Object.hasOwn(answer, id)).map((id) => [id, answer[id]]));

describe.concurrent('the suite finds a provider that', () => {
  it.each(MISTAKES)('%s: %s', { timeout: 60_000 }, async (fault, _what, resolve, message) => {
    const faultCase = secretsProviderFaults.cases.find((each) => each.fault === fault) ?? expect.fail();
    expect(await runContractCase(faultCase, () => context(resolve))).toMatchObject({ status: 'failed', reason: expect.stringMatching(message) });
  });

  it('is in use after a fault no more', async () => {
    let isBroken = false;
    const resolve: Resolve = async (call) => {
      isBroken ||= String(call.config.printed).startsWith('exit 1');
      if (isBroken) throw new Error('it is broken for good');
      return sound(call);
    };
    const faultCase = secretsProviderFaults.cases.find(({ fault }) => fault === 'failure') ?? expect.fail();
    expect(await runContractCase(faultCase, () => context(resolve))).toMatchObject({ status: 'failed', reason: expect.stringContaining('for good') });
  });
});

it('a fault that cannot be is skipped, and every fault has a hint', async () => {
  const report = await runContract(secretsProviderFaults, () => ({ ...context(sound), broken: () => undefined }));
  expect(report).toMatchObject({ ok: true, passed: 0, failed: 0, skipped: secretsProviderFaults.cases.length });
  for (const { hint } of secretsProviderFaults.cases) expect(hint).toMatch(/^[A-Z].+\.$/);
});

const BASE_MISTAKES: Array<[string, Partial<SecretsProvider>, string]> = [
  ['names no source', { source: 'Not A Source' }, 'it names the source that it serves'],
  ['gives all it has', { resolve: async () => ({ values: { ...known } }) }, 'an answer is plain data, and holds nothing that was not asked for'],
  [
    'gives functions',
    { resolve: async ({ ids }) => ({ values: pick({ one: () => 1, two: () => 2 }, ids) }) },
    'an answer is plain data, and holds nothing that was not asked for',
  ],
  [
    'quotes values in reasons',
    { resolve: async (call) => ({ values: (await sound(call)).values, errors: call.ids.includes('missing') ? { missing: `only ${good}` } : {} }) },
    'no value stands in a reason',
  ],
  [
    'keeps its call in a common place',
    (() => {
      let asked: string[] = [];
      return {
        resolve: async (call) => {
          asked = call.ids;
          await sleep(5);
          return sound({ ...call, ids: asked });
        },
      };
    })(),
    'calls at the same time do not mix',
  ],
  [
    'takes no call after one was given up',
    (() => {
      let isOver = false;
      return {
        resolve: async (call) => {
          isOver ||= call.signal?.aborted === true;
          if (isOver) throw new Error('over');
          return sound(call);
        },
      };
    })(),
    'a call that is given up before it begins ends',
  ],
  [
    'never ends when it is given up',
    { resolve: (call) => (call.signal?.aborted ? new Promise(() => undefined) : sound(call)) },
    'a call that is given up before it begins ends',
  ],
];

it.each(BASE_MISTAKES)('the contract finds a provider that %s', async (_what, mistake, expected) => {
  const cases = secretsProviderContract.cases.map((each) => ({ ...each, timeoutMs: 300 }));
  const makeContext = (): SecretsContractContext => {
    const base = context(sound);
    return { ...base, provider: { ...base.provider, ...mistake } };
  };
  const { results } = await runContract({ ...secretsProviderContract, cases }, makeContext);
  expect(results.filter(({ status }) => status === 'failed').map(({ name }) => name)).toContain(expected);
});
