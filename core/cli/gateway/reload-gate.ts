import { durarError } from '../../../sdk/errors.ts';
import { diffConfig, holdRestartKeys } from '../../config/changes.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { HostStages } from '../../kernel/host.ts';
import type { LiveListener } from './live-listener.ts';

/** Stands between what is read and what becomes live: holds back what the mode does not apply, and opens the listener before the swap. */
export interface ReloadGate {
  /** For the host. */
  stages: HostStages;
  /** From now on a configuration counts only where its listener can be opened. */
  use(listener: LiveListener): void;
  /** What was read last is live. Returns the keys whose change was held back. */
  confirm(): string[];
  /** The configuration that is live, as it was read. */
  live(): LoadedConfig;
  /** What was read last, live or not, by file: the hash of its text. */
  seen(): ReadonlyMap<string, string>;
}

export function createReloadGate(stages: HostStages): ReloadGate {
  let live: LoadedConfig | undefined;
  let last: LoadedConfig | undefined;
  let held: string[] = [];
  let listener: LiveListener | undefined;

  return {
    stages: {
      ...stages,
      async loadConfig() {
        const read = withoutLoss(await stages.loadConfig(), live);
        last = read;
        held = [];
        if (read.errors.length > 0 || live?.config.gateway.reload.mode !== 'hot') return read;
        const mixed = holdRestartKeys(live.config, read.config);
        held = mixed.held;
        last = { ...read, config: mixed.config };
        return last;
      },
      async resolveSecrets(config, source) {
        const answer = await stages.resolveSecrets(config, source);
        if (answer.errors.length === 0) await listener?.prepare(answer.resolved);
        return answer;
      },
    },
    use(opened) {
      listener = opened;
    },
    confirm() {
      live = last;
      return held;
    },
    live() {
      if (live === undefined) throw durarError('DUR_HOST_STARTING', { room: 'configuration' });
      return live;
    },
    seen: () => last?.hashes ?? new Map(),
  };
}

/** A file that is gone or empty is no wish for the defaults while a gateway runs: somebody is about to write it anew. */
function withoutLoss(read: LoadedConfig, live: LoadedConfig | undefined): LoadedConfig {
  if (live === undefined || live.raw.trim() === '' || read.raw.trim() !== '' || read.errors.length > 0) return read;
  const { file, exists } = read;
  const hint = 'Put it back, or restart the gateway to use the defaults.';
  return { ...read, errors: [durarError('DUR_CONFIG_UNREADABLE', { file, reason: exists ? 'it is empty' : 'it was removed' }, { owner: { file }, hint })] };
}

/** The keys of a configuration that would have an effect if it were live. */
export function effectiveChanges(live: object, next: object): string[] {
  return diffConfig(live, next)
    .filter(({ reload }) => reload !== 'none')
    .map(({ path }) => path);
}
