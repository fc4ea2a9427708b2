import type { Config } from '../config/schema.ts';
import type { Logger } from '../logging/logger.ts';
import type { AccountRun, AccountStatus } from './account-run.ts';
import { channelSettings } from './channel-settings.ts';

/** Looks after accounts that say that they run and hear nothing; a stuck one is connected anew, so many times an hour at most. */
export interface HealthMonitor {
  /** One round; the timer does the same. */
  check(): void;
  /** Takes over a changed interval. */
  refresh(): void;
  stop(): void;
}

export interface HealthMonitorOptions {
  accounts(): Iterable<AccountRun>;
  config(): Config;
  log: Logger;
  now?: () => number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export function createHealthMonitor({ accounts, config, log, now = Date.now }: HealthMonitorOptions): HealthMonitor {
  /** Restarts of the last hour, by account. */
  const restarts = new Map<string, number[]>();
  let timer: NodeJS.Timeout | undefined;
  let minutes: number | undefined;

  function check(): void {
    const { gateway } = config();
    for (const account of accounts()) {
      const status = account.status();
      const { channel, accountId } = status;
      if (channelSettings(config(), channel, accountId).healthMonitor?.enabled === false) continue;
      const limits = { graceMs: gateway.channelHealthCheckMinutes * MINUTE_MS, staleMs: gateway.channelStaleEventThresholdMinutes * MINUTE_MS };
      const reason = stuckReason(status, limits, now());
      if (reason === undefined) continue;
      const name = `${channel}:${accountId}`;
      const recent = (restarts.get(name) ?? []).filter((at) => at > now() - HOUR_MS);
      if (recent.length >= gateway.channelMaxRestartsPerHour) {
        log.error(`${channel}/${accountId} is stuck (${reason}) and was restarted ${recent.length} times within an hour; it is left alone`, {
          channel,
          accountId,
        });
        continue;
      }
      restarts.set(name, [...recent, now()]);
      log.warn(`${channel}/${accountId} is stuck (${reason}); it is connected anew`, { channel, accountId });
      account.restart(reason);
    }
  }

  return {
    check,
    refresh() {
      const wanted = config().gateway.channelHealthCheckMinutes;
      if (wanted === minutes) return;
      minutes = wanted;
      clearInterval(timer);
      timer = wanted > 0 ? setInterval(check, wanted * MINUTE_MS).unref() : undefined;
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
      minutes = undefined;
    },
  };
}

/** Why an account counts as stuck; undefined: it does not. One that was just started has time to connect. */
export function stuckReason(
  { running, startedAt, connected, lastEventAt }: AccountStatus,
  { graceMs, staleMs }: { graceMs: number; staleMs: number },
  now: number,
): string | undefined {
  if (!running || now - startedAt < graceMs) return undefined;
  if (connected === false) return 'it is not connected';
  if (typeof lastEventAt !== 'number' || staleMs === 0) return undefined;
  const silence = now - Math.max(lastEventAt, startedAt);
  return silence > staleMs ? `nothing was heard for ${Math.round(silence / MINUTE_MS)} minutes` : undefined;
}
