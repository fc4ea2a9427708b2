import type { PluginRuntime, SubagentSpawnRequest, Tool, ToolContext } from 'Durar/plugin-sdk/core';
import { answer, refusable } from './answer.ts';

const NOTE = 'Its result comes to this session as a message when it is done. Go on with something else or end your turn; do not poll.';

export function createSpawnTool(runtime: Pick<PluginRuntime, 'subagent'>, { sessionKey }: ToolContext): Tool {
  return {
    name: 'sessions_spawn',
    label: 'Start a sub-agent',
    description: 'Starts a sub-agent: a session of its own that does one task while you go on. Its result is announced here when it is done.',
    parameters: {
      type: 'object',
      additionalProperties: false,
      required: ['task'],
      properties: {
        task: { type: 'string', minLength: 1, description: 'All it has to know; it does not see this conversation.' },
        label: { type: 'string', maxLength: 100, description: 'A short name.' },
        agentId: { type: 'string', description: 'Another agent; agents_list shows which.' },
        model: { type: 'string', description: 'provider/model, or an alias.' },
        thinking: { type: 'string', enum: ['off', 'minimal', 'low', 'medium', 'high', 'xhigh', 'adaptive'] },
        runTimeoutSeconds: { type: 'integer', minimum: 0, description: '0: no limit of its own.' },
        thread: { type: 'boolean', description: 'Bind it to a thread of the channel, where the channel can do that.' },
        mode: { type: 'string', enum: ['run', 'session'], description: 'run: one task, the default. session: stays for more messages.' },
        cleanup: { type: 'string', enum: ['delete', 'keep'], description: 'delete: its session goes when the result is announced.' },
        sandbox: { type: 'string', enum: ['inherit', 'require'] },
        runtime: { type: 'string', enum: ['subagent', 'acp'] },
      },
    },
    execute: (_callId, params) =>
      refusable(async () => {
        const spawned = await runtime.subagent.spawn({ ...(params as Omit<SubagentSpawnRequest, 'requesterSessionKey'>), requesterSessionKey: sessionKey });
        return answer({ status: 'accepted', ...spawned, note: NOTE });
      }),
  };
}

export function createAgentsTool(runtime: Pick<PluginRuntime, 'subagent'>, { agentId }: ToolContext): Tool {
  return {
    name: 'agents_list',
    label: 'List agents',
    description: 'Lists the agents that sessions_spawn can start, this one first.',
    parameters: { type: 'object', additionalProperties: false, properties: {} },
    execute: () => refusable(async () => answer({ requester: agentId, agents: await runtime.subagent.agents({ agentId }) })),
  };
}
