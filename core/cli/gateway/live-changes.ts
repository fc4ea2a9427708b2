import { type ErrorReport, errorText, reportError } from '../../../sdk/index.ts';
import type { Channels } from '../../channels/accounts.ts';
import { diffConfig } from '../../config/changes.ts';
import { hashFile, type LoadedConfig } from '../../config/load.ts';
import { type FileWatch, watchFiles } from '../../config/watch.ts';
import type { Adoption } from '../../gateway/options.ts';
import { type ActivationReport, type Host, HostFailure } from '../../kernel/host.ts';
import type { Logger } from '../../logging/logger.ts';
import type { LiveListener, Restart } from './live-listener.ts';
import { effectiveChanges, type ReloadGate } from './reload-gate.ts';
import type { Stages } from './stages.ts';

/** How long an answer may take to arrive before its client is told to come again. */
const RESTART_DELAY_MS = 2000;
const MAX_DELAY_MS = 60_000;

/** Carries changes on disk and requests to reload into the running process. */
export interface LiveChanges {
  /** Activates anew for a command of ours: refused when it breaks what works. Throws `HostFailure`; the running generation goes on. */
  reload(options?: { forEdit?: boolean | undefined }): Promise<ActivationReport>;
  /** The same for a configuration that is about to be written. */
  adopt(candidate: LoadedConfig, reason: string, options?: { restartDelayMs?: number | undefined }): Promise<Adoption>;
  /** Goes back to what is on disk, when it could not be written. */
  revert(): Promise<void>;
  /** Why what is on disk now is not live; empty when it is. */
  refused(): readonly ErrorReport[];
  stop(): Promise<void>;
}

export interface LiveChangesOptions {
  host: Host;
  stages: Stages;
  gate: ReloadGate;
  listener: LiveListener;
  channels: Channels;
  log: Logger;
  /** Throws what would keep this configuration from working at the next start. For the mode that applies nothing. */
  check(candidate: LoadedConfig): Promise<void>;
  /** Told after every change that took effect. */
  onApplied(): Promise<void>;
}

interface Wish {
  reason: string;
  strict: boolean;
  /** The extensions themselves changed. */
  extensions?: boolean;
  delayMs: number;
  waits?: boolean;
}

interface Applied {
  report: ActivationReport;
  restart: Restart | undefined;
  held: string[];
}

/** Starts to watch at once. */
export async function createLiveChanges(options: LiveChangesOptions): Promise<LiveChanges> {
  const { host, stages, gate, listener, channels, log, check, onApplied } = options;
  let refused: readonly ErrorReport[] = [];
  const watches = new Map<string, FileWatch>();
  let debounceMs = 0;
  let isStopped = false;
  /** An adopted configuration is live and not yet in the file. */
  let isUnwritten = false;
  /** Files that changed meanwhile. */
  const postponed = new Set<string>();
  let queue: Promise<unknown> = Promise.resolve();

  const mode = () => gate.live().config.gateway.reload.mode;

  /** One at a time: the listener follows each generation before the next is built. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const next = queue.then(work);
    queue = next.catch(() => undefined);
    return next;
  }

  async function activate({ reason, strict, extensions = false, delayMs, waits = false }: Wish): Promise<Applied> {
    const before = host.current().resolvedConfig;
    const restarts = mode() === 'restart';
    let report: ActivationReport;
    try {
      report = await host.activate(reason, { strict });
    } catch (error) {
      await listener.withdraw();
      // a strict refusal concerns the request; what is on disk is judged when it is edited
      if (!strict) refused = error instanceof HostFailure ? error.failures.map(reportError) : [reportError(error)];
      throw error;
    }
    stages.confirm();
    const held = gate.confirm();
    refused = [];
    const after = host.current().resolvedConfig;
    const restart = await listener.apply({ reason, restart: restarts && (extensions || effectiveChanges(before, after).length > 0), delayMs, waits });
    if (held.length > 0) log.warn(`these take effect after a restart of the gateway: ${held.join(', ')}`);
    else if (restart === undefined) tellOverridden(before, after);
    await channels.reconcile();
    await onApplied();
    return { report, restart, held };
  }

  function tellOverridden(before: object, after: object): void {
    const paths = diffConfig(before, after).flatMap(({ path, reload }) => (reload === 'restart' && !path.startsWith('gateway.tls') ? [path] : []));
    if (paths.length > 0) log.info(`these change nothing, since the command line or the environment decides: ${paths.join(', ')}`);
  }

  /** A file changed: the new generation replaces the old one whole, or the reasons are logged and nothing changes. */
  async function onEdit(file: string): Promise<void> {
    const extensions = stages.isRecords(file);
    if (isStopped || (mode() === 'off' && !extensions)) return;
    if (isUnwritten && !extensions) {
      // the file still holds what was live before
      postponed.add(file);
      return;
    }
    if (await stages.isApplied(file)) {
      refused = [];
      return;
    }
    const withdraw = mode() === 'off' ? stages.offer(gate.live()) : undefined;
    try {
      await activate({ reason: extensions ? 'extensions changed' : 'configuration changed', strict: false, extensions, delayMs: 0 });
    } catch (error) {
      withdraw?.();
      log.error(`the change of '${file}' is not applied; generation ${host.current().number} goes on: ${errorText(error)}`, { failures: refused });
    }
    await look();
  }

  /** Watches what the configuration is made of, also one that was refused: an include may have come or gone, or be the one to correct. */
  async function look(): Promise<void> {
    await watchAll();
    // What changed after it was read and before it was watched.
    for (const [file, hash] of gate.seen()) if ((await hashIfReadable(file)) !== hash) void inTurn(() => onEdit(file));
  }

  async function watchAll(): Promise<void> {
    if (isStopped) return;
    const files = new Set([...stages.watchedFiles(), ...gate.seen().keys(), ...listener.files()]);
    const wanted = host.current().config.gateway.reload.debounceMs;
    for (const [file, watch] of watches) {
      if (files.has(file) && wanted === debounceMs) continue;
      watches.delete(file);
      await watch.stop();
    }
    debounceMs = wanted;
    for (const file of files) if (!watches.has(file)) watches.set(file, await follow(file));
  }

  /** What cannot be read is told where it is loaded. */
  const hashIfReadable = (file: string) => hashFile(file).catch(() => gate.seen().get(file));

  const follow = (file: string) =>
    watchFiles({
      files: [file],
      debounceMs,
      onChange: () => void inTurn(() => onEdit(file)),
      onError: (error) => log.warn(`a watched folder cannot be seen: ${errorText(error)}`),
    });

  function written(restart: Restart | undefined): void {
    isUnwritten = false;
    restart?.begin();
    for (const file of postponed) void inTurn(() => onEdit(file));
    postponed.clear();
  }

  await look();
  return {
    reload: ({ forEdit = false } = {}) =>
      inTurn(async () => {
        if (forEdit) stages.expectEdit();
        const { report } = await activate({ reason: 'reload', strict: true, delayMs: RESTART_DELAY_MS });
        await look();
        return report;
      }),
    adopt: (candidate, reason, { restartDelayMs = RESTART_DELAY_MS } = {}) =>
      inTurn(async () => {
        if (mode() === 'off') {
          await check(candidate);
          return { later: effectiveChanges(gate.live().config, candidate.config), written: () => undefined };
        }
        const before = host.current();
        const withdraw = stages.offer(candidate);
        try {
          const { restart, held } = await activate({ reason, strict: true, delayMs: Math.min(restartDelayMs, MAX_DELAY_MS), waits: true });
          // without a second look at the file, which has not been written yet
          await watchAll();
          isUnwritten = true;
          return { later: held, ...(restart === undefined ? {} : { restart }), written: () => written(restart) };
        } catch (error) {
          withdraw();
          // what follows the swap may fail too, and then the file will not be written
          if (host.current() !== before) await activate({ reason: 'the configuration was not taken over', strict: false, delayMs: 0 });
          throw error;
        }
      }),
    revert: () =>
      inTurn(async () => {
        isUnwritten = false;
        postponed.clear();
        if (mode() !== 'off') await activate({ reason: 'the configuration was not written', strict: false, delayMs: 0 });
      }),
    refused: () => refused,
    async stop() {
      isStopped = true;
      listener.stop();
      await Promise.all([...watches.values()].map((watch) => watch.stop()));
      await queue;
    },
  };
}
