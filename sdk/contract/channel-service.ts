import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { ChannelContractContext } from './channel.ts';
import { type CallOptions, type HostedAccount, hostAccount } from './channel-account.ts';

/** milliseconds that anything may take at all */
export const LIMIT_MS = 15_000;

/** What a service does wrong. */
export type ChannelFault =
  /** It answers every request that it comes too fast. */
  | 'slow down'
  /** It refuses every message for good: the bot was blocked, or is not a member. */
  | 'refuse'
  /** Its connections break, once. */
  | 'cut'
  /** It does not let the account in. */
  | 'forbid';

/** The service that the channel speaks to, as its author's tests have it. */
export interface ChannelService {
  /** Where the suite sends to: a conversation that takes messages. */
  to: string;
  /** Somebody writes to the account, in a direct chat. What the service would not carry (a zero byte) may be left out or cut, as the service does. */
  push(message: { text: string }): Promise<unknown> | unknown;
  /** Somebody writes, and the service brings the message twice; absent: it never does. */
  repeat?(message: { text: string }): Promise<unknown> | unknown;
  /** Texts that arrived there, in their order, as a person would read them. */
  sent(): readonly string[];
  /** Called each time that the account is connected: who has to come in anew comes in. */
  enter?(): Promise<unknown> | unknown;
  /** Begins to go wrong, and gives what ends it; undefined: it cannot go wrong so. */
  fault(kind: ChannelFault): Promise<Heal | undefined> | Heal | undefined;
}

export type Heal = () => Promise<void> | void;

export interface ChannelServiceContext extends ChannelContractContext {
  /** A configuration by which the default account connects to the service; with pauses of milliseconds, so that nothing is waited for. */
  cfg: Record<string, unknown>;
  service: ChannelService;
  /** Secrets of `cfg`. They must not turn up in an error, a status or a log. */
  secrets?: readonly string[];
}

export const HOSTILE_TEXTS = [
  'zero\0byte',
  'one\r\nQUIT :gone\r\nPRIVMSG x :forged\nthree',
  '\u202eright to left\u202c \u2066isolate',
  'lone \ud83d surrogate \udc4d',
  'zero\u200bwidth\u200d\ufeff\u2060',
  '\x01ACTION\x01 \x1b[31m \x07 \x7f \x9b',
  '<b>&amp;</b> <@everyone> <!channel> [x](javascript:alert(1)) `` ` `` ``` ||a||',
  `Z${'\u0351\u036b\u0343'.repeat(500)}`,
  '{"text":"json","ok":true}',
  '👩‍👩‍👧‍👦'.repeat(200),
];

/** The host does not try again after it. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && (error as { retryable?: unknown }).retryable === false;
}

async function outcomeOf<Value>(work: () => Promise<Value>): Promise<{ value?: Value; error?: unknown }> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: error ?? new Error('it rejected with nothing') };
  }
}

/** An error with its causes and own fields, or a text. */
export function noSecretsIn({ secrets = [] }: Pick<ChannelServiceContext, 'secrets'>, told: unknown): void {
  const text = typeof told === 'string' ? told : inspect(told, { depth: 8, showHidden: false });
  for (const secret of secrets) assert.ok(!text.includes(secret), `a secret is told: ${text.replaceAll(secret, '***').slice(0, 300)}`);
}

export async function until(done: () => boolean, otherwise: string, ms: number): Promise<void> {
  for (const end = Date.now() + ms; !done(); await sleep(10)) assert.ok(Date.now() < end, otherwise);
}

/** Connections of this process. */
export function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'PipeWrap').length;
}

export async function connected(ctx: ChannelServiceContext, options: CallOptions = {}): Promise<HostedAccount> {
  const account = hostAccount(ctx.channel, ctx.cfg, options);
  await until(() => account.status().connected === true || account.hasEnded, 'the account did not connect', LIMIT_MS);
  if (account.hasEnded) assert.fail(`the account ended at once: ${String((await account.ended).error)}`);
  await ctx.service.enter?.();
  return account;
}

export async function arrival(account: HostedAccount, text: string) {
  await until(() => account.delivered.some((message) => message.text === text), `'${text}' did not arrive`, LIMIT_MS);
  const message = account.delivered.find((each) => each.text === text);
  assert.ok(message !== undefined);
  return message;
}

/** Never rejects. An error that holds a secret fails the case. */
export async function send(ctx: ChannelServiceContext, text: string, more: { to?: string; signal?: AbortSignal; idempotencyKey?: string } = {}) {
  const { channel, cfg, service } = ctx;
  const outcome = await outcomeOf(async () => channel.outbound?.sendText?.({ cfg, to: service.to, text, ...more }));
  if (outcome.error !== undefined) noSecretsIn(ctx, outcome.error);
  return outcome;
}

/** Sends a text that nothing speaks against, and waits until the service has it. */
export async function sends(ctx: ChannelServiceContext, text: string): Promise<void> {
  const { error } = await within(LIMIT_MS, 'a send', send(ctx, text));
  assert.equal(error, undefined, `a plain message was not sent: ${String(error)}`);
  await until(() => ctx.service.sent().includes(text), `'${text}' did not reach the service`, LIMIT_MS);
}

export async function within<Result>(ms: number, what: string, work: Promise<Result>): Promise<Result> {
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
