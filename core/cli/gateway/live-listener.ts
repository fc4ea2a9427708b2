import { type DurarError, errorCode, errorText } from '../../../sdk/index.ts';
import type { Environment, Paths } from '../../config/paths.ts';
import type { Config } from '../../config/schema.ts';
import type { Opening } from '../../gateway/listener.ts';
import type { Gateway, GatewaySettings } from '../../gateway/server.ts';
import { tlsFingerprint, tlsPaths } from '../../gateway/tls.ts';
import { HostFailure } from '../../kernel/host.ts';
import type { Logger } from '../../logging/logger.ts';
import type { GatewayFlags } from './boot-report.ts';
import { writeGatewayAddress } from './gateway-address.ts';
import { resolveGatewaySettings } from './gateway-settings.ts';

/** What became of the listener. */
export interface Restart {
  /** When the clients are told to come again, from now. */
  delayMs: number;
  /** How much of that is there because they were told a short time ago. */
  cooldownMs: number;
  /** It is one with a restart that was due already. */
  coalesced: boolean;
  /** Starts the time, where `waits` was asked for. */
  begin(): void;
}

/** After a restart the next one that a request asks for waits this long, so that nobody can keep the clients on the move. */
const COOLDOWN_MS = 30_000;

export interface ApplyOptions {
  reason: string;
  /** Whether all clients have to come again, also where the address stays. */
  restart: boolean;
  /** Leaves an answer the time to arrive. */
  delayMs: number;
  /** The time starts with `begin`: something has to be done before the answer is sent. */
  waits?: boolean;
}

/** Keeps the listener where the live configuration wants it. Calls come one after the other: `prepare`, then `apply` or `withdraw`. */
export interface LiveListener {
  /** Opens the address of a configuration that is about to be live. Throws `HostFailure`; then nothing has changed. */
  prepare(resolved: Config): Promise<void>;
  /** The configuration is live: its rules count for the next connection, and who is connected to a former address is told to leave it. */
  apply(options: ApplyOptions): Promise<Restart | undefined>;
  /** The configuration did not become live. */
  withdraw(): Promise<void>;
  /** Certificate, key and chain, where it serves TLS. */
  files(): string[];
  stop(): void;
}

export interface LiveListenerOptions {
  gateway: Pick<Gateway, 'open' | 'configure' | 'restart'>;
  /** What it listens with now. */
  settings: GatewaySettings;
  config: Config;
  env: Environment;
  flags: GatewayFlags;
  paths: Paths;
  log: Logger;
}

interface Due {
  openings: Opening[];
  /** Of the addresses that are being left. */
  ports: number[];
  scope: 'all' | 'former';
  reason: string;
  timer: NodeJS.Timeout | undefined;
}

export function createLiveListener({ gateway, config, env, flags, paths, log, ...initial }: LiveListenerOptions): LiveListener {
  let settings = initial.settings;
  let files = filesOf(config);
  let candidate: { settings: GatewaySettings; opening: Opening; files: string[] } | undefined;
  let due: Due | undefined;
  let restartedAt = Number.NEGATIVE_INFINITY;

  function filesOf({ gateway: { tls } }: Config): string[] {
    if (!tls.enabled) return [];
    const { cert, key, ca } = tlsPaths(tls, paths);
    return ca === undefined ? [cert, key] : [cert, key, ca];
  }

  function restartNow(): void {
    if (due === undefined) return;
    const { openings, scope, reason, timer } = due;
    due = undefined;
    clearTimeout(timer);
    for (const opening of openings) opening.keep();
    restartedAt = performance.now();
    gateway.restart(reason, scope);
  }

  function startTime(delayMs: number): void {
    if (due === undefined) return;
    clearTimeout(due.timer);
    if (delayMs === 0) restartNow();
    else due.timer = setTimeout(restartNow, delayMs);
  }

  return {
    async prepare(resolved) {
      try {
        const next = await resolveGatewaySettings({ config: resolved, env, flags, paths });
        // What is being left holds its port to the end, and this is the way back to it.
        if (due?.ports.includes(next.port) === true && next.port !== settings.port) restartNow();
        candidate = { settings: next, opening: await gateway.open(next), files: filesOf(resolved) };
      } catch (error) {
        if (!errorCode(error)?.startsWith('DUR_')) throw error;
        throw new HostFailure([error as DurarError]);
      }
    },
    async apply({ reason, restart, delayMs: wantedMs, waits = false }) {
      if (candidate === undefined) return undefined;
      const cooldownMs = waits ? Math.max(0, Math.ceil(restartedAt + COOLDOWN_MS - performance.now()) - wantedMs) : 0;
      const delayMs = wantedMs + cooldownMs;
      const { opening } = candidate;
      const { port } = settings;
      settings = candidate.settings;
      files = candidate.files;
      candidate = undefined;
      gateway.configure(settings);
      await writeGatewayAddress(paths.stateDbDir, addressOf(opening.bound.url, settings)).catch((error) =>
        log.warn(`commands of this machine cannot be told the address: ${errorText(error)}`),
      );
      if (opening.moves) log.info(`the gateway listens on ${opening.bound.url}`);
      if (!opening.moves && !restart) return undefined;
      const coalesced = due !== undefined;
      clearTimeout(due?.timer);
      due = {
        openings: [...(due?.openings ?? []), ...(opening.moves ? [opening] : [])],
        ports: [...(due?.ports ?? []), ...(opening.moves ? [port] : [])],
        scope: restart ? 'all' : (due?.scope ?? 'former'),
        reason,
        timer: undefined,
      };
      if (!waits) startTime(delayMs);
      return { delayMs, cooldownMs, coalesced, begin: () => startTime(delayMs) };
    },
    async withdraw() {
      const opening = candidate?.opening;
      candidate = undefined;
      await opening?.withdraw().catch((error) => log.error(`the former address cannot be opened again: ${errorText(error)}`));
    },
    files: () => files,
    stop() {
      clearTimeout(due?.timer);
      // The gateway closes the one address it knows; a former one is left here.
      for (const opening of due?.openings ?? []) opening.keep();
      due = undefined;
    },
  };
}

/** What commands of this machine are told. */
export function addressOf(url: string, { tls }: Pick<GatewaySettings, 'tls'>) {
  return { pid: process.pid, url, ...(tls === undefined ? {} : { tlsFingerprint: tlsFingerprint(tls.cert) }) };
}
