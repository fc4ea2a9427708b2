import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { durarError } from '../../sdk/errors.ts';
import { type AgentMessage, emptyUsage } from '../../sdk/messages.ts';
import type { PluginLogger } from '../../sdk/plugin-api.ts';
import type { PluginRuntime } from '../../sdk/plugin-runtime.ts';
import type { ToolContext } from '../../sdk/ports/tool.ts';

/** What a tool factory is told of a run that does not exist; whatever it asks to be approved is denied. */
export function trialToolContext(config: Record<string, unknown>, workspaceDir = tmpdir()): ToolContext {
  return {
    config,
    workspaceDir,
    agentId: 'main',
    sessionKey: 'agent:main:main',
    sessionId: 'trial',
    sandboxed: false,
    requestApproval: async () => ({ decision: 'deny', reason: 'nobody is here to ask' }),
  };
}

export interface TrialRuntimeOptions {
  stateDir: string;
  hostVersion: string;
  config: Record<string, unknown>;
  logger: PluginLogger;
  /** Answers `models.complete`; the default says what it was asked. */
  complete?(messages: readonly AgentMessage[]): Promise<string> | string;
}

/** `api.runtime` of an extension that runs alone: values stay in memory, a model is a function, there is no agent to start. */
export function createTrialRuntime({ stateDir, hostVersion, config, logger, complete }: TrialRuntimeOptions): PluginRuntime {
  const values = new Map<string, unknown>();
  const absent = (member: string) => async () => {
    throw durarError('DUR_EXT_NOT_AVAILABLE', { member: `runtime.${member}` }, { hint: 'It needs a running gateway; here the extension runs alone.' });
  };
  const session = { resolveStorePath: (path?: string) => path ?? join(stateDir, 'sessions') };
  return {
    version: hostVersion,
    config: { loadConfig: () => structuredClone(config), writeConfigFile: absent('config.writeConfigFile') },
    state: {
      resolveStateDir: () => stateDir,
      get: async (key) => structuredClone(values.get(key)),
      set: async (key, value) => void values.set(key, structuredClone(value)),
      delete: async (key) => void values.delete(key),
    },
    logging: { shouldLogVerbose: () => false, getChildLogger: () => logger },
    agent: {
      defaults: { provider: 'trial', model: 'echo' },
      resolveAgentDir: (_config, agentId = 'main') => join(stateDir, 'agents', agentId),
      resolveAgentWorkspaceDir: () => join(stateDir, 'workspace'),
      resolveAgentTimeoutMs: () => 60_000,
      session,
    },
    channel: { session },
    channels: { actions: () => [], act: absent('channels.act') },
    models: {
      list: async () => [],
      async complete({ messages }) {
        const text = (await complete?.(messages)) ?? `reply to ${messages.length} message(s)`;
        const message: AgentMessage = {
          role: 'assistant',
          content: [{ type: 'text', text }],
          api: 'trial',
          provider: 'trial',
          model: 'echo',
          usage: emptyUsage(),
          stopReason: 'stop',
          timestamp: Date.now(),
        };
        return { text, message };
      },
    },
    modelAuth: { getApiKeyForModel: async () => ({}), resolveApiKeyForProvider: async () => ({}) },
    memory: { runtime: async () => undefined },
    sessions: {
      list: async () => [],
      get: async () => undefined,
      messages: async () => [],
      send: absent('sessions.send'),
      reply: absent('sessions.reply'),
    },
    subagent: {
      spawn: absent('subagent.spawn'),
      list: async () => [],
      kill: absent('subagent.kill'),
      send: absent('subagent.send'),
      agents: async ({ agentId }) => [agentId],
      run: absent('subagent.run'),
      waitForRun: absent('subagent.waitForRun'),
      getSessionMessages: absent('subagent.getSessionMessages'),
      deleteSession: absent('subagent.deleteSession'),
    },
    events: { onAgentEvent: () => () => {}, onSessionTranscriptUpdate: () => () => {} },
    gateway: {
      broadcast() {},
      listeners: () => 0,
      sendTo: () => 0,
      connections: () => [],
      onConnect: () => () => {},
      onDisconnect: () => () => {},
      onBroadcast: () => () => {},
      devices: () => [],
    },
    extensions: { skillDirs: () => [] },
    approvals: { find: async () => undefined, consume: async () => false },
  };
}
