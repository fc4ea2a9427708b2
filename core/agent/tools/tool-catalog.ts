import { durarError, type SessionRecord, type ToolContext, type ToolSchema } from '../../../sdk/index.ts';
import type { Generation, GenerationSource } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import { type AgentPaths, agentEntry, agentWorkspaceDir, defaultAgentId } from '../settings.ts';
import { subagentRole } from '../subagents/subagents-row.ts';
import { createToolPolicy, profilesOf, type ToolProfile } from './tool-policy.ts';
import { collectTools, everyTool, type OfferedTool, permittedTools } from './tools.ts';

/** A tool as it is shown to people. */
export interface ToolInfo {
  name: string;
  label: string;
  description: string;
  /** extension */
  owner: string;
  /** Ships with the product. */
  isBundled: boolean;
  /** Only there for agents that name it. */
  optional: boolean;
  /** The narrow profiles that it belongs to. */
  profiles: ToolProfile[];
  /** The channel that its extension serves. */
  channel?: string;
}

/** What tools there are, without a run. */
export interface ToolCatalog {
  /** All of them. Throws `DUR_AGENT_UNKNOWN`. */
  all(agentId?: string): Promise<{ agentId: string; tools: ToolInfo[] }>;
  /** Those that the next run of a session would offer. */
  effective(session: SessionRecord): Promise<{ agentId: string; profile: ToolProfile; tools: ToolInfo[] }>;
  /** The same as a provider would get them. */
  schemas(session: SessionRecord): Promise<ToolSchema[]>;
}

export function createToolCatalog({ source, paths, log }: { source: GenerationSource; paths: AgentPaths; log: Logger }): ToolCatalog {
  const contextOf = (generation: Generation, agentId: string, session?: SessionRecord): ToolContext => ({
    config: generation.config,
    workspaceDir: agentWorkspaceDir(generation.config, agentId, paths),
    agentId,
    sessionKey: session?.key ?? '',
    sessionId: session?.sessionId ?? '',
    sandboxed: false,
    requestApproval: () => Promise.reject(durarError('DUR_APPROVAL_DENIED', { reason: 'no run asks for it' })),
  });

  return {
    async all(agentId) {
      const generation = source.current();
      const id = (agentId ?? defaultAgentId(generation.config)).toLowerCase();
      agentEntry(generation.config, id);
      const offered = await everyTool({ generation, context: contextOf(generation, id), log });
      return { agentId: id, tools: offered.map((tool) => infoOf(generation, tool)) };
    },

    async effective(session) {
      const generation = source.current();
      const { agentId } = session;
      const policy = createToolPolicy(generation.config, agentEntry(generation.config, agentId)?.tools, subagentRole(generation.config, session));
      const offered = await everyTool({ generation, context: contextOf(generation, agentId, session), log });
      return { agentId, profile: policy.profile, tools: permittedTools(offered, { policy, log }).map((tool) => infoOf(generation, tool)) };
    },

    async schemas(session) {
      const generation = source.current();
      const { agentId } = session;
      const policy = createToolPolicy(generation.config, agentEntry(generation.config, agentId)?.tools, subagentRole(generation.config, session));
      return (await collectTools({ generation, context: contextOf(generation, agentId, session), policy, log })).schemas;
    },
  };
}

function infoOf(generation: Generation, { tool, owner, isBundled, optional }: OfferedTool): ToolInfo {
  const [channel] = generation.plan.extensions.get(owner)?.entry.declares?.channel ?? [];
  return {
    name: tool.name,
    label: tool.label ?? tool.name,
    description: tool.description,
    owner,
    isBundled,
    optional,
    profiles: profilesOf({ name: tool.name, owner, isBundled }),
    ...(channel === undefined ? {} : { channel }),
  };
}
