import { errorCode } from '../../../sdk/errors.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { ToolsCatalogResult, ToolsEffectiveResult } from '../../../sdk/protocol/generated/types.ts';
import type { ToolInfo } from '../../agent/service.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

type CatalogGroup = ToolsCatalogResult['groups'][number];
type EffectiveGroup = ToolsEffectiveResult['groups'][number];

const PROFILES = [
  { id: 'minimal', label: 'Minimal' },
  { id: 'coding', label: 'Coding' },
  { id: 'messaging', label: 'Messaging' },
  { id: 'full', label: 'Full' },
];

/** How the tools of the product are put together; tools in no group are listed below their extension. */
const GROUPS: ReadonlyArray<{ id: string; label: string; names: readonly string[] }> = [
  { id: 'fs', label: 'Files', names: ['read', 'write', 'edit', 'apply_patch'] },
  { id: 'runtime', label: 'Runtime', names: ['exec', 'process', 'code_execution'] },
  { id: 'web', label: 'Web', names: ['web_search', 'web_fetch', 'x_search'] },
  { id: 'memory', label: 'Memory', names: ['memory_search', 'memory_get'] },
  {
    id: 'sessions',
    label: 'Sessions',
    names: ['sessions_list', 'sessions_history', 'sessions_send', 'sessions_spawn', 'sessions_yield', 'subagents', 'session_status'],
  },
  { id: 'ui', label: 'User interface', names: ['browser', 'canvas'] },
  { id: 'messaging', label: 'Messaging', names: ['message'] },
  { id: 'automation', label: 'Automation', names: ['cron', 'gateway'] },
  { id: 'nodes', label: 'Nodes', names: ['nodes'] },
  { id: 'agents', label: 'Agents', names: ['agents_list'] },
  { id: 'media', label: 'Media', names: ['image', 'image_generate', 'tts'] },
];
const LIVE_LABELS = { core: 'Built-in tools', plugin: 'Connected tools', channel: 'Channel tools' };
const SUMMARY_CHARS = 160;

export function toolsMethods({ agent, sessions }: GatewayContext): MethodFamily<'tools.catalog' | 'tools.effective'> {
  return {
    async 'tools.catalog'({ agentId: wanted, includePlugins = true }) {
      const { agentId, tools } = await agent.tools.all(wanted).catch((error: unknown) => {
        if (errorCode(error) === 'DUR_AGENT_UNKNOWN') throw new ProtocolError('INVALID_REQUEST', `unknown agent id "${wanted}"`, { cause: error });
        throw error;
      });
      const core = GROUPS.map(({ id, label, names }): CatalogGroup => {
        const own = names.flatMap((name) => tools.find((tool) => tool.name === name && isCore(tool)) ?? []);
        return { id, label, source: 'core', tools: own.map((tool) => catalogTool(tool, 'core')) };
      });
      const others = includePlugins
        ? Map.groupBy(
            tools.filter((tool) => !isCore(tool)),
            ({ owner }) => owner,
          )
        : new Map<string, ToolInfo[]>();
      const plugins = Array.from(
        others,
        ([pluginId, own]): CatalogGroup => ({
          id: `plugin:${pluginId}`,
          label: pluginId,
          source: 'plugin',
          pluginId,
          tools: own.map((tool) => catalogTool(tool, 'plugin')),
        }),
      );
      return { agentId, profiles: PROFILES, groups: [...core.filter((group) => group.tools.length > 0), ...plugins] };
    },

    async 'tools.effective'({ sessionKey, agentId }) {
      const session = await sessions.get(sessions.canonicalKey(sessionKey));
      if (session === undefined) throw new ProtocolError('INVALID_REQUEST', `unknown session key "${sessionKey}"`);
      if (agentId !== undefined && agentId.toLowerCase() !== session.agentId) {
        throw new ProtocolError('INVALID_REQUEST', `agent id "${agentId}" does not match session agent "${session.agentId}"`);
      }
      const { profile, tools, ...owner } = await agent.tools.effective(session);
      const bySource = Map.groupBy(tools, liveSource);
      const groups = (['core', 'plugin', 'channel'] as const).flatMap((source): EffectiveGroup[] => {
        const own = bySource.get(source) ?? [];
        return own.length === 0 ? [] : [{ id: source, label: LIVE_LABELS[source], source, tools: own.map((tool) => effectiveTool(tool, source)) }];
      });
      return { ...owner, profile, groups };
    },
  };
}

/** Ships with the product and has a place in its groups. */
function isCore({ name, isBundled }: ToolInfo): boolean {
  return isBundled && GROUPS.some(({ names }) => names.includes(name));
}

function liveSource(tool: ToolInfo): EffectiveGroup['source'] {
  if (tool.channel !== undefined) return 'channel';
  return isCore(tool) ? 'core' : 'plugin';
}

function catalogTool(tool: ToolInfo, source: 'core' | 'plugin'): CatalogGroup['tools'][number] {
  const { name, label, description, owner, optional, profiles } = tool;
  const origin = source === 'core' ? { source } : { source, pluginId: owner, optional };
  return { id: name, label, description: summary(description), ...origin, defaultProfiles: profiles };
}

function effectiveTool(tool: ToolInfo, source: EffectiveGroup['source']): EffectiveGroup['tools'][number] {
  const { name, label, description, owner, channel } = tool;
  const origin = { ...(source === 'core' ? {} : { pluginId: owner }), ...(channel === undefined ? {} : { channelId: channel }) };
  return { id: name, label, description: summary(description), rawDescription: description, source, ...origin };
}

/** The first sentence or line. */
function summary(description: string): string {
  const line = (description.trim().split('\n')[0] ?? '').replace(/^(.+?[.!?])\s.*$/, '$1');
  return line.length <= SUMMARY_CHARS ? line : `${line.slice(0, SUMMARY_CHARS - 1)}…`;
}
