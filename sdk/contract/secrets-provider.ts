import assert from 'node:assert/strict';
import type { SecretsProvider } from '../ports/secrets-provider.ts';
import type { ContractContext, ContractSuite } from './contract.ts';

/** What the suite needs of a secrets provider. */
export interface SecretsContractContext extends ContractContext {
  provider: SecretsProvider;
  /** A valid block of `secrets.providers.<alias>`. */
  config: Record<string, unknown>;
  env?: Record<string, string>;
  /** Ids that resolve, with their values. At least two, where the source can serve two. */
  known: Record<string, string>;
  /** A well-formed id that does not resolve. */
  unknown: string;
}

export const secretsProviderContract: ContractSuite<SecretsContractContext> = {
  port: 'secrets-provider',
  cases: [
    {
      name: 'it names the source that it serves',
      async run({ provider }) {
        assert.match(provider.source, /^[a-z][a-z0-9_-]{0,63}$/);
      },
    },
    {
      name: 'one call resolves all ids',
      ids: ['CARD-013'],
      async run(ctx) {
        const { values, errors = {} } = await resolve(ctx, Object.keys(ctx.known));
        assert.deepEqual({ ...values }, ctx.known);
        assert.deepEqual({ ...errors }, {});
      },
    },
    {
      name: 'no ids are no values',
      async run(ctx) {
        const { values, errors = {} } = await resolve(ctx, []);
        assert.deepEqual([Object.keys(values), Object.keys(errors)], [[], []]);
      },
    },
    {
      name: 'an id that does not resolve is absent and has a reason, the others are there',
      async run(ctx) {
        const [good] = Object.keys(ctx.known);
        assert.ok(good !== undefined);
        const { values, errors = {} } = await resolve(ctx, [good, ctx.unknown]);
        assert.equal(values[good], ctx.known[good]);
        assert.ok(!Object.hasOwn(values, ctx.unknown), 'the unknown id has a value');
        assert.ok(typeof errors[ctx.unknown] === 'string' && errors[ctx.unknown] !== '', 'the unknown id has no reason');
      },
    },
    {
      name: 'names of built-in properties are not ids',
      async run(ctx) {
        for (const id of ['__proto__', 'constructor', 'toString']) {
          let values: Record<string, unknown>;
          try {
            ({ values } = await resolve(ctx, [id]));
          } catch (error) {
            assert.ok(error instanceof Error);
            continue;
          }
          assert.ok(!Object.hasOwn(values, id), `'${id}' has a value`);
        }
      },
    },
    {
      name: 'no value stands in a reason',
      async run(ctx) {
        const { errors = {} } = await resolve(ctx, [...Object.keys(ctx.known), ctx.unknown]);
        for (const value of Object.values(ctx.known)) assert.ok(!JSON.stringify(errors).includes(value), 'a reason holds a value');
      },
    },
    {
      name: 'an answer is plain data, and holds nothing that was not asked for',
      async run(ctx) {
        const [asked = ''] = Object.keys(ctx.known);
        const answer = await resolve(ctx, [asked]);
        structuredClone({ values: { ...answer.values }, errors: { ...answer.errors } });
        assert.deepEqual([Object.keys(answer.values), Object.keys(answer.errors ?? {})], [[asked], []]);
      },
    },
    {
      name: 'an id that is asked for twice is one value',
      async run(ctx) {
        const [asked = ''] = Object.keys(ctx.known);
        assert.deepEqual({ ...(await resolve(ctx, [asked, asked])).values }, { [asked]: ctx.known[asked] });
      },
    },
    {
      name: 'calls at the same time do not mix',
      async run(ctx) {
        const ids = Object.keys(ctx.known);
        const answers = await Promise.all([...ids, ctx.unknown].map((id) => resolve(ctx, [id])));
        const values = answers.map((answer) => ({ ...answer.values }));
        assert.deepEqual(values, [...ids.map((id) => ({ [id]: ctx.known[id] })), {}]);
      },
    },
    {
      name: 'a call that is given up before it begins ends',
      async run(ctx) {
        const { provider, config, env } = ctx;
        const given = { provider: 'alias', config, ids: Object.keys(ctx.known), signal: AbortSignal.abort(new Error('given up')) };
        // whether it still answers is its own affair
        await Promise.allSettled([provider.resolve({ ...given, ...(env === undefined ? {} : { env }) })]);
        assert.deepEqual({ ...(await resolve(ctx, Object.keys(ctx.known))).values }, ctx.known);
      },
    },
    {
      name: 'the call is left as it was',
      async run(ctx) {
        const ids = Object.freeze([...Object.keys(ctx.known), ctx.unknown]) as string[];
        const before = structuredClone(ctx.config);
        await ctx.provider.resolve(
          Object.freeze({ provider: 'alias', config: Object.freeze(ctx.config), ids, ...(ctx.env === undefined ? {} : { env: Object.freeze(ctx.env) }) }),
        );
        assert.deepEqual(ctx.config, before);
      },
    },
  ],
};

function resolve({ provider, config, env }: SecretsContractContext, ids: string[]) {
  return provider.resolve({ provider: 'alias', config, ids, ...(env === undefined ? {} : { env }) });
}
