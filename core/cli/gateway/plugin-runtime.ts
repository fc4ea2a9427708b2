import { randomUUID } from 'node:crypto';
import { join, resolve, sep } from 'node:path';
import { type AgentMessage, durarError, type MemoryRuntime, type PluginLogger, type PluginRuntime, type StoredEntry } from '../../../sdk/index.ts';
import { parseModelRef } from '../../agent/models/models.ts';
import type { AgentService } from '../../agent/service.ts';
import { agentEntry, agentWorkspaceDir, defaultAgentId, defaultModelRef } from '../../agent/settings.ts';
import type { Channels } from '../../channels/accounts.ts';
import type { Paths } from '../../config/paths.ts';
import type { Config } from '../../config/schema.ts';
import type { Gateway } from '../../gateway/server.ts';
import type { Host } from '../../kernel/host.ts';
import type { Scope } from '../../kernel/scope.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { State } from '../../state/state.ts';
import { createSessionTalk, createSubagentHandles } from '../replay/session-runtime.ts';

/** The rooms behind `api.runtime`. They exist only after the first activation, so every handle asks for them when it is called. */
export interface RuntimeRooms {
  host: Host;
  state: State;
  sessions: SessionService;
  agent: AgentService;
  gateway: Gateway;
  channels: Channels;
}

export interface PluginRuntimeOptions {
  /** Throws `DUR_HOST_STARTING` for a room that is not built yet. */
  room<Name extends keyof RuntimeRooms>(name: Name): RuntimeRooms[Name];
  paths: Paths;
  version: string;
  verbose: boolean;
  /** The configuration as extensions may see it. */
  visibleConfig(): Record<string, unknown>;
  writeConfig(config: Record<string, unknown>): Promise<void>;
}

/** Makes `api.runtime` for one instance. Listeners that it adds end with its scope. */
export function createPluginRuntime(options: PluginRuntimeOptions, owner: { id: string; scope: Scope; logger: PluginLogger }): PluginRuntime {
  const { room, paths } = options;
  /** Complete but for its secrets, and there before any room is. */
  const config = () => options.visibleConfig() as unknown as Config;
  const agentDir = (agentId = 'main') => join(paths.stateDir, 'agents', agentId, 'agent');
  const resolveStorePath = (storePath?: string, { agentId = 'main' }: { agentId?: string } = {}) =>
    storePath?.replace('{agentId}', agentId) ?? join(paths.stateDir, 'agents', agentId, 'sessions', 'sessions.json');
  const owned = (remove: () => void) => {
    owner.scope.defer(remove);
    return remove;
  };
  const approvers = async () => (await room('host').current().contributions('approver')).map(({ value }) => value);
  const messagesOf = async ({ sessionKey, limit }: { sessionKey: string; limit?: number }): Promise<AgentMessage[]> => {
    const sessions = room('sessions');
    const session = await sessions.get(sessions.canonicalKey(sessionKey));
    if (session === undefined) return [];
    const { entries } = await sessions.read(session, limit === undefined ? {} : { limit });
    return entries.filter(isMessage).map((entry) => entry.message);
  };

  return {
    version: options.version,
    config: {
      loadConfig: options.visibleConfig,
      writeConfigFile: options.writeConfig,
    },
    state: {
      resolveStateDir: () => paths.stateDir,
      get: async (key) => room('state').kv.get(`plugin:${owner.id}`, key),
      set: async (key, value) => room('state').kv.set(`plugin:${owner.id}`, key, value),
      delete: async (key) => room('state').kv.delete(`plugin:${owner.id}`, key),
    },
    logging: {
      shouldLogVerbose: () => options.verbose,
      getChildLogger: (bindings) => ({
        debug: (text, fields) => owner.logger.debug(text, { ...bindings, ...fields }),
        info: (text, fields) => owner.logger.info(text, { ...bindings, ...fields }),
        warn: (text, fields) => owner.logger.warn(text, { ...bindings, ...fields }),
        error: (text, fields) => owner.logger.error(text, { ...bindings, ...fields }),
      }),
    },
    agent: {
      get defaults() {
        const { provider = '', model } = parseModelRef(defaultModelRef(config(), agentEntry(config(), defaultAgentId(config()))));
        return { provider, model };
      },
      resolveAgentDir: (_config, agentId) => agentDir(agentId),
      resolveAgentWorkspaceDir: (_config, agentId) => agentWorkspaceDir(config(), agentId ?? defaultAgentId(config()), paths),
      resolveAgentTimeoutMs: () => (config().agents.defaults.timeoutSeconds ?? 0) * 1000,
      session: { resolveStorePath },
    },
    channel: { session: { resolveStorePath } },
    channels: {
      actions: () => room('channels').actions.describe(),
      act: (request) => room('channels').actions.act(request),
    },
    models: {
      list: () => room('agent').models.list(),
      complete: (params) => room('agent').models.complete(params),
    },
    modelAuth: {
      getApiKeyForModel: ({ model }) => room('agent').models.credential(model.provider),
      resolveApiKeyForProvider: ({ provider }) => room('agent').models.credential(provider),
    },
    memory: {
      runtime: async () => (await room('host').current().slot('memory'))?.instance as MemoryRuntime | undefined,
    },
    sessions: {
      list: async (params = {}) => (await room('sessions').list(params)).sessions,
      get: ({ sessionKey, agentId }) => room('sessions').get(room('sessions').canonicalKey(sessionKey, agentId)),
      messages: messagesOf,
      ...createSessionTalk(room),
    },
    subagent: {
      ...createSubagentHandles(room),
      async run({ sessionKey, message, provider, model, extraSystemPrompt, idempotencyKey }) {
        const override = model === undefined ? undefined : model.includes('/') || provider === undefined ? model : `${provider}/${model}`;
        if (override !== undefined) assertOverride(room('host'), owner.id, override);
        const { runId } = await room('agent').accept({
          runId: idempotencyKey ?? randomUUID(),
          sessionKey,
          message,
          lane: 'subagent',
          provenance: { kind: 'internal_system', sourceTool: owner.id },
          ...(override === undefined ? {} : { model: override }),
          ...(extraSystemPrompt === undefined ? {} : { extraSystemPrompt }),
        });
        return { runId };
      },
      async waitForRun({ runId, timeoutMs = 30_000 }) {
        const result = await room('agent').wait(runId, timeoutMs);
        if (result === undefined) return { status: 'timeout' };
        return result.error === undefined ? { status: result.status } : { status: result.status, error: result.error.message };
      },
      getSessionMessages: async (params) => ({ messages: await messagesOf(params) }),
      async deleteSession({ sessionKey }) {
        await room('agent').remove({ sessionKey });
      },
    },
    events: {
      onAgentEvent(listener) {
        return owned(room('agent').onEvent(listener));
      },
      onSessionTranscriptUpdate(listener) {
        const remove = room('sessions').onUpdate(({ sessionKey, sessionId, entries }) => {
          for (const { id } of entries) listener({ sessionKey, sessionId, entryId: id });
        });
        owner.scope.defer(remove);
        return remove;
      },
    },
    gateway: {
      broadcast: (event, payload, settings) => room('gateway').broadcast(event, payload, settings ?? {}),
      listeners: (scope) => room('gateway').listeners(scope),
      sendTo: (target, event, payload) => room('gateway').sockets.sendTo(target, event, payload),
      connections: (filter) => room('gateway').sockets.list(filter),
      onConnect: (listener) => owned(room('gateway').sockets.onConnect(listener)),
      onDisconnect: (listener) => owned(room('gateway').sockets.onDisconnect(listener)),
      onBroadcast: (listener) => owned(room('gateway').onBroadcast(listener)),
      devices: (filter) => room('gateway').devices(filter),
    },
    extensions: {
      skillDirs() {
        const enabled = [...room('host').current().plan.extensions.values()].filter((one) => one.enabled && one.blocked === undefined);
        const dirs = enabled.flatMap(({ entry: { id, root, manifest } }) =>
          (manifest.skills ?? []).map((name) => ({ owner: id, root, dir: resolve(root, name) })),
        );
        return dirs.filter(({ root, dir }) => dir.startsWith(root + sep)).map(({ owner: id, dir }) => ({ owner: id, dir }));
      },
    },
    approvals: {
      async find(params) {
        for (const approver of await approvers()) {
          const found = await approver.find?.(params);
          if (found !== undefined) return found;
        }
        return undefined;
      },
      async consume(params) {
        for (const approver of await approvers()) if ((await approver.consume?.(params)) === true) return true;
        return false;
      },
    },
  };
}

/** `plugins.entries.<id>.subagent` says which models an extension may choose for its own runs. */
function assertOverride(host: Host, id: string, model: string): void {
  const entry = (
    host.current().config.plugins?.entries as Record<string, { subagent?: { allowModelOverride?: boolean; allowedModels?: string[] } }> | undefined
  )?.[id];
  const allowed = entry?.subagent?.allowedModels;
  if (entry?.subagent?.allowModelOverride === true && (allowed === undefined || allowed.includes('*') || allowed.includes(model))) return;
  throw durarError(
    'DUR_MODEL_NOT_ALLOWED',
    { ref: model },
    { owner: { extension: id }, hint: `Set plugins.entries.${id}.subagent.allowModelOverride to allow it.` },
  );
}

function isMessage(entry: StoredEntry): entry is StoredEntry & { type: 'message' } {
  return entry.type === 'message';
}
