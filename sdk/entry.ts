import type { PluginKind } from './contributions.ts';
import type { PluginApi } from './plugin-api.ts';
import type { Channel } from './ports/channel.ts';

/** The default export of an extension. */
export interface PluginEntry {
  id: string;
  name?: string;
  description?: string;
  version?: string;
  kind?: PluginKind | PluginKind[];
  configSchema?: Record<string, unknown> | (() => Record<string, unknown>);
  register(api: PluginApi): Promise<void> | void;
}

/** Types the default export of an extension. Returns what it gets. */
export function definePluginEntry(entry: PluginEntry): PluginEntry {
  return entry;
}

export interface ChannelPluginEntry {
  id: string;
  name?: string;
  description?: string;
  plugin: Channel;
  configSchema?: Record<string, unknown> | (() => Record<string, unknown>);
  /** Called with `api.runtime` before the channel is registered; skipped in `cli-metadata`. */
  setRuntime?(runtime: PluginApi['runtime']): void;
  /** In `full` and `cli-metadata`. */
  registerCliMetadata?(api: PluginApi): void;
  /** In `full` only. */
  registerFull?(api: PluginApi): Promise<void> | void;
}

/** Makes the entry of a channel extension. */
export function defineChannelPluginEntry(entry: ChannelPluginEntry): PluginEntry {
  return {
    id: entry.id,
    ...(entry.name === undefined ? {} : { name: entry.name }),
    ...(entry.description === undefined ? {} : { description: entry.description }),
    ...(entry.configSchema === undefined ? {} : { configSchema: entry.configSchema }),
    async register(api) {
      if (api.registrationMode === 'cli-metadata') {
        entry.registerCliMetadata?.(api);
        return;
      }
      entry.setRuntime?.(api.runtime);
      api.registerChannel(entry.plugin);
      if (api.registrationMode !== 'full') return;
      entry.registerCliMetadata?.(api);
      await entry.registerFull?.(api);
    },
  };
}

/** Makes the light entry that setup surfaces load. */
export function defineSetupPluginEntry(plugin: Channel): { plugin: Channel } {
  return { plugin };
}
