import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContractCase, ContractSuite } from './contract.ts';
import type { SecretsContractContext } from './secrets-provider.ts';

/** What a backend (a program, a file, a server) does wrong. */
export type SecretsFault =
  /** It never answers. The block sets a limit of at most a second. */
  | 'hang'
  /** It answers without end, or more than the block allows. */
  | 'flood'
  /** It answers well, and says other things beside. */
  | 'noise'
  /** It says that it failed, after it has printed the values. */
  | 'failure'
  /** Its answer is cut off in the middle. */
  | 'half'
  /** It answers for ids that nobody asked for, and only for them. */
  | 'strangers'
  /** Its values are a number, null, a list, an object, an empty text. */
  | 'types'
  /** The ids are not its own but come by way of built-in properties, such as a key `__proto__`. */
  | 'prototype';

/** Stands for a secret in all that a faulty backend says. It must not turn up in a reason or an error. */
export const SPILLED = 'spilled-secret-6f1c';

/** What differs from the sound call. */
export interface BrokenBackend {
  config?: Record<string, unknown>;
  env?: Record<string, string>;
}

export interface SecretsFaultContext extends SecretsContractContext {
  /** A backend for the ids in `known` that does this wrong; its values hold `SPILLED`. undefined: the source cannot go wrong so. */
  broken(fault: SecretsFault): Promise<BrokenBackend | undefined> | BrokenBackend | undefined;
}

export interface SecretsFaultCase extends ContractCase<SecretsFaultContext> {
  fault: SecretsFault;
  /** What an author does about it. */
  hint: string;
}

export interface SecretsFaultSuite extends ContractSuite<SecretsFaultContext> {
  cases: readonly SecretsFaultCase[];
}

/** A parser's error quotes the beginning of what it read. */
const TRACE = SPILLED.slice(0, 8);
/** How long a call may go on after its signal was aborted, and how long at all with a block that sets a short limit, in milliseconds. */
const SETTLE_MS = 2_000;
const LIMIT_MS = 8_000;

/** A backend that goes wrong fails the ids that it was asked for, soon and with a reason, tells nothing of what it said, and hurts no later call. */
export const secretsProviderFaults: SecretsFaultSuite = {
  port: 'secrets provider under faults',
  cases: [
    faulty('hang', 'a call that is given up ends soon', 'Pass `signal` on to everything that waits.', async (ctx) => {
      const controller = new AbortController();
      const call = attempt(ctx, 'hang', controller.signal);
      await sleep(100);
      controller.abort(new Error('given up'));
      nothing(await within(SETTLE_MS, 'a call that was given up', call));
    }),
    faulty('hang', 'a backend that never answers is given up', 'Set a limit of your own, and end what you started.', async (ctx) => {
      nothing(await attempt(ctx, 'hang'));
    }),
    faulty('flood', 'a backend that does not stop is stopped', 'Count what you read, and stop at a limit.', async (ctx) => {
      nothing(await attempt(ctx, 'flood'));
    }),
    faulty('noise', 'what is said beside the answer does no harm', 'Read the answer alone; diagnostics go nowhere.', async (ctx) => {
      const { values, errors } = await attempt(ctx, 'noise');
      assert.deepEqual([values, errors], [{ ...ctx.known }, {}]);
    }),
    faulty('failure', 'a failed backend has no values', 'Look at the exit code or status before the answer.', async (ctx) => {
      nothing(await attempt(ctx, 'failure'));
    }),
    faulty('half', 'half an answer has no values', 'Read the answer to its end, and take nothing from one that does not parse.', async (ctx) => {
      nothing(await attempt(ctx, 'half'));
    }),
    faulty('strangers', 'answers to what nobody asked are not taken', 'Look up each id that was asked for; pass nothing on as it came.', async (ctx) => {
      nothing(await attempt(ctx, 'strangers'));
    }),
    faulty('types', 'a value is a text that is not empty', 'Check each value; a number or an object is no secret.', async (ctx) => {
      nothing(await attempt(ctx, 'types'));
    }),
    faulty('prototype', 'built-in properties are no answers', 'Use Object.hasOwn, or a Map.', async (ctx) => {
      nothing(await attempt(ctx, 'prototype'));
      assert.deepEqual(Object.keys(Object.prototype), [], 'Object.prototype was changed');
    }),
  ],
};

function faulty(fault: SecretsFault, name: string, hint: string, run: (ctx: SecretsFaultContext) => Promise<void>): SecretsFaultCase {
  return {
    fault,
    name,
    hint,
    timeoutMs: 2 * LIMIT_MS,
    skip: async (ctx) => ((await ctx.broken(fault)) === undefined ? `its source cannot go wrong so (${fault})` : undefined),
    async run(ctx) {
      await run(ctx);
      const after = await call(ctx, {}, undefined);
      assert.deepEqual({ ...after.values }, ctx.known, 'a sound call after the fault does not give the values');
    },
  };
}

interface Outcome {
  values: Record<string, unknown>;
  /** By id. Of a call that was refused as a whole, its error for each. */
  errors: Record<string, string>;
}

/** Calls with a broken backend. Fails when the call does not end, or tells what the backend said. */
async function attempt(ctx: SecretsFaultContext, fault: SecretsFault, signal?: AbortSignal): Promise<Outcome> {
  const broken = await ctx.broken(fault);
  assert.ok(broken !== undefined);
  const outcome = await within(LIMIT_MS, 'the call', settled(ctx, broken, signal));
  for (const [id, reason] of Object.entries(outcome.errors)) {
    assert.ok(typeof reason === 'string' && reason !== '', `'${id}' has no reason`);
    assert.ok(!reason.includes(TRACE), 'a reason tells what the backend said');
  }
  for (const id of [...Object.keys(outcome.values), ...Object.keys(outcome.errors)])
    assert.ok(Object.hasOwn(ctx.known, id), `the answer speaks of '${id}', which nobody asked for`);
  return outcome;
}

async function settled(ctx: SecretsFaultContext, broken: BrokenBackend, signal: AbortSignal | undefined): Promise<Outcome> {
  try {
    const { values, errors = {} } = await call(ctx, broken, signal);
    return { values: { ...values }, errors: { ...errors } };
  } catch (error) {
    assert.ok(error instanceof Error, 'it rejects with something that is no error');
    for (let link: unknown = error; link instanceof Error; link = link.cause)
      assert.ok(!`${link.stack} ${JSON.stringify(link)}`.includes(TRACE), 'an error tells what the backend said');
    return { values: {}, errors: Object.fromEntries(Object.keys(ctx.known).map((id) => [id, error.message])) };
  }
}

async function call({ provider, config, env, known }: SecretsFaultContext, broken: BrokenBackend, signal: AbortSignal | undefined) {
  const environment = broken.env ?? env;
  return provider.resolve({
    provider: 'alias',
    config: broken.config ?? config,
    ids: Object.keys(known),
    ...(environment === undefined ? {} : { env: environment }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** No id has a value, each has a reason. */
function nothing({ values, errors }: Outcome): void {
  assert.deepEqual(Object.keys(values), [], 'there are values');
  assert.ok(Object.keys(errors).length > 0, 'there are no reasons');
}

async function within<Result>(ms: number, what: string, work: Promise<Result>): Promise<Result> {
  const stop = new AbortController();
  const late = sleep(ms, undefined, { signal: stop.signal }).then(
    () => assert.fail(`${what} did not end within ${ms} ms`),
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}
