import { expect, it, onTestFinished, vi } from 'vitest';
import type { Channel, ChannelAccountContext } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';
import { silentLogger } from '../logging/logger.ts';
import { type AccountRun, runAccount } from './account-run.ts';
import { createHealthMonitor, stuckReason } from './health-monitor.ts';

const MINUTE = 60_000;
const settings = { channelHealthCheckMinutes: 5, channelStaleEventThresholdMinutes: 30, channelMaxRestartsPerHour: 2 };

function connect(start: (context: ChannelAccountContext) => Promise<void>, stop?: () => Promise<void>, log = silentLogger) {
  vi.useFakeTimers({ now: 1_000_000 });
  onTestFinished(() => void vi.useRealTimers());
  const channel = {
    id: 'chat',
    config: { listAccountIds: () => ['default'], resolveAccount: () => ({}) },
    gateway: { startAccount: start, ...(stop === undefined ? {} : { stopAccount: stop }) },
  } as unknown as Channel;
  const source = { current: () => ({ config: {}, resolvedConfig: {} }) } as never;
  return runAccount({ channel, accountId: 'default', fingerprint: '', source, deliver: async () => ({ accepted: true }), log });
}
const untilAborted = ({ abortSignal }: ChannelAccountContext) => new Promise<void>((resolve) => abortSignal.addEventListener('abort', () => resolve()));

it('a lost account is started again after a growing pause, and tells why', async () => {
  const starts: number[] = [];
  const account = connect(async () => {
    starts.push(Date.now());
    throw new Error('no route');
  });
  await vi.advanceTimersByTimeAsync(15_000);
  expect(starts.map((at) => at - (starts[0] ?? 0))).toEqual([0, 2_000, 6_000, 14_000]);
  expect(account.status()).toMatchObject({ running: false, restarts: 4, lastError: 'no route' });
  await account.stop();
});

it('an account that is refused for good twice stays down and tells what to do; once may be a lost answer', async () => {
  let starts = 0;
  const log = { ...silentLogger, warn: vi.fn(), error: vi.fn() };
  const account = connect(
    async () => {
      starts += 1;
      throw Object.assign(new Error('the token is not known'), { retryable: starts === 2, hint: 'Set another token.' });
    },
    undefined,
    log,
  );
  await vi.advanceTimersByTimeAsync(7_000);
  expect([starts, account.status().gaveUp]).toEqual([3, undefined]);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(starts).toBe(4);
  expect(account.status()).toMatchObject({ running: false, gaveUp: true, restarts: 3, lastError: 'the token is not known', hint: 'Set another token.' });
  for (const line of [log.warn, log.error]) expect(line).toHaveBeenLastCalledWith(expect.any(String), expect.objectContaining({ hint: 'Set another token.' }));
  await account.stop();
});

it('shows what the channel tells, merged, and what came in', async () => {
  let context: ChannelAccountContext | undefined;
  const account = connect((given) => {
    context = given;
    given.setStatus({ connected: false, nick: 'durar' });
    given.setStatus({ connected: true });
    return untilAborted(given);
  });
  await context?.deliver({ text: 'x', senderId: 'a', conversationId: 'a', chatType: 'direct' });
  expect(account.status()).toEqual({
    channel: 'chat',
    accountId: 'default',
    running: true,
    startedAt: 1_000_000,
    restarts: 0,
    connected: true,
    nick: 'durar',
    lastInboundAt: 1_000_000,
  });
  await account.stop();
});

it('a restart connects anew at once; what the old attempt says no longer counts', async () => {
  const contexts: ChannelAccountContext[] = [];
  const account = connect((context) => {
    contexts.push(context);
    return untilAborted(context);
  });
  account.restart('stuck');
  await vi.advanceTimersByTimeAsync(0);
  contexts[0]?.setStatus({ connected: false });
  expect(contexts).toHaveLength(2);
  expect(account.status()).toMatchObject({ running: true, restarts: 1, lastError: 'stuck' });
  expect(account.status().connected).toBeUndefined();
  await account.stop();
});

it('one that does not mind its end is left behind after ten seconds', async () => {
  let starts = 0;
  const account = connect(() => {
    starts += 1;
    return new Promise(() => undefined);
  });
  account.restart('stuck');
  await vi.advanceTimersByTimeAsync(9_999);
  expect(starts).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(starts).toBe(2);
  const stopped = vi.fn();
  void account.stop().then(stopped);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(stopped).toHaveBeenCalled();
});

it.each([
  ['not running', { running: false, connected: false }, undefined],
  ['just started', { startedAt: 59 * MINUTE, connected: false }, undefined],
  ['not connected', { connected: false }, 'it is not connected'],
  ['connected', { connected: true }, undefined],
  ['heard something', { connected: true, lastEventAt: 40 * MINUTE }, undefined],
  ['heard nothing for long', { connected: true, lastEventAt: 20 * MINUTE }, 'nothing was heard for 40 minutes'],
  ['tells nothing', {}, undefined],
])('an account that is %s', (_name, status, reason) => {
  const whole = { channel: 'chat', accountId: 'default', running: true, startedAt: 0, restarts: 0, ...status };
  expect(stuckReason(whole, { graceMs: 5 * MINUTE, staleMs: 30 * MINUTE }, 60 * MINUTE)).toBe(reason);
});

it('a stuck account is restarted, so many times an hour at most, and not at all where that is switched off', () => {
  let now = 0;
  const restarts: string[] = [];
  const account = (accountId: string) =>
    ({
      status: () => ({ channel: 'chat', accountId, running: true, startedAt: now - 10 * MINUTE, restarts: 0, connected: false }),
      restart: () => void restarts.push(accountId),
    }) as unknown as AccountRun;
  const config = { gateway: settings, channels: { chat: { accounts: { quiet: { healthMonitor: { enabled: false } } } } } } as unknown as Config;
  const monitor = createHealthMonitor({ accounts: () => [account('default'), account('quiet')], config: () => config, log: silentLogger, now: () => now });
  for (const minutes of [0, 5, 10, 15, 59]) {
    now = minutes * MINUTE;
    monitor.check();
  }
  expect(restarts).toEqual(['default', 'default']);
  now = 61 * MINUTE;
  monitor.check();
  expect(restarts).toHaveLength(3);
});

it('looks as often as is configured, and not at all with 0', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const gateway = { ...settings };
  let rounds = 0;
  const accounts = () => {
    rounds += 1;
    return [];
  };
  const monitor = createHealthMonitor({ accounts, config: () => ({ gateway, channels: {} }) as unknown as Config, log: silentLogger });
  monitor.refresh();
  vi.advanceTimersByTime(11 * MINUTE);
  expect(rounds).toBe(2);
  gateway.channelHealthCheckMinutes = 0;
  monitor.refresh();
  vi.advanceTimersByTime(60 * MINUTE);
  expect(rounds).toBe(2);
  monitor.stop();
});
