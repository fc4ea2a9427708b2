import { durarError } from '../../sdk/errors.ts';
import { diffConfig, holdRestartKeys } from '../config/changes.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { HostStages } from '../kernel/host.ts';
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
        const read = await stages.loadConfig();
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

/** The keys of a configuration that would have an effect if it were live. */
export function effectiveChanges(live: object, next: object): string[] {
  return diffConfig(live, next)
    .filter(({ reload }) => reload !== 'none')
    .map(({ path }) => path);
}
