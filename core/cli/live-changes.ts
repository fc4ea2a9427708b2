import { type ErrorReport, errorText, reportError } from '../../sdk/index.ts';
import type { Channels } from '../channels/accounts.ts';
import { diffConfig } from '../config/changes.ts';
import type { LoadedConfig } from '../config/load.ts';
import { type FileWatch, watchFiles } from '../config/watch.ts';
import { type ActivationReport, type Host, HostFailure } from '../kernel/host.ts';
import type { Logger } from '../logging/logger.ts';
import type { Stages } from './stages.ts';

/** Carries changes on disk and requests to reload into the running process. */
export interface LiveChanges {
  /** Activates anew for a command of ours: refused when it breaks what works. Throws `HostFailure`; the running generation goes on. */
  reload(): Promise<ActivationReport>;
  /** The same for a configuration that is about to be written. */
  adopt(candidate: LoadedConfig, reason: string): Promise<void>;
  /** Goes back to what is on disk, when it could not be written. */
  revert(): Promise<void>;
  /** Why what is on disk now is not live; empty when it is. */
  refused(): readonly ErrorReport[];
  stop(): Promise<void>;
}

export interface LiveChangesOptions {
  host: Host;
  stages: Stages;
  channels: Channels;
  log: Logger;
  /** Told after every change that took effect. */
  onApplied(): Promise<void>;
}

/** Starts to watch at once. */
export async function createLiveChanges({ host, stages, channels, log, onApplied }: LiveChangesOptions): Promise<LiveChanges> {
  let refused: readonly ErrorReport[] = [];
  let watched: readonly string[] = [];
  let watch: FileWatch | undefined;
  let isStopped = false;

  async function activate(reason: string, strict: boolean): Promise<ActivationReport> {
    try {
      const report = await host.activate(reason, { strict });
      stages.confirm();
      refused = [];
      await channels.reconcile();
      await onApplied();
      await look();
      return report;
    } catch (error) {
      // a strict refusal concerns the request; what is on disk is judged when it is edited
      if (!strict) refused = error instanceof HostFailure ? error.failures.map(reportError) : [reportError(error)];
      throw error;
    }
  }

  /** A file changed: the new generation replaces the old one whole, or the reasons are logged and nothing changes. */
  async function onEdit(file: string): Promise<void> {
    const before = host.current().resolvedConfig;
    const isConfig = !stages.isRecords(file);
    if ((before.gateway.reload.mode === 'off' && isConfig) || (await stages.isApplied(file))) return;
    try {
      await activate(isConfig ? 'configuration changed' : 'extensions changed', false);
    } catch (error) {
      log.error(`the change of '${file}' is not applied; generation ${host.current().number} goes on: ${errorText(error)}`, { failures: refused });
      return;
    }
    const later = diffConfig(before, host.current().resolvedConfig).filter((change) => change.reload === 'restart');
    if (later.length > 0) log.warn(`these take effect after a restart of the gateway: ${later.map((change) => change.path).join(', ')}`);
  }

  /** Watches what the configuration is made of now; an include may have come or gone. */
  async function look(): Promise<void> {
    const files = stages.watchedFiles();
    if (isStopped || files.join('\n') === watched.join('\n')) return;
    watched = files;
    const former = watch;
    watch = await watchFiles({
      files,
      debounceMs: host.current().config.gateway.reload.debounceMs,
      onChange: (file) => void onEdit(file),
      onError: (error) => log.warn(`a watched folder cannot be seen: ${errorText(error)}`),
    });
    await former?.stop();
  }

  await look();
  return {
    reload: () => activate('reload', true),
    async adopt(candidate, reason) {
      const before = host.current();
      const withdraw = stages.offer(candidate);
      try {
        await activate(reason, true);
      } catch (error) {
        withdraw();
        // what follows the swap may fail too, and then the file will not be written
        if (host.current() !== before) await activate('the configuration was not taken over', false);
        throw error;
      }
    },
    async revert() {
      await activate('the configuration was not written', false);
    },
    refused: () => refused,
    async stop() {
      isStopped = true;
      await watch?.stop();
    },
  };
}
