import type { PluginRuntime, SubagentInfo, Tool, ToolContext } from 'Durar/plugin-sdk/core';
import { answer, refusable, refusal } from './answer.ts';

const TASK_CHARS = 200;

export function createSubagentsTool(runtime: Pick<PluginRuntime, 'subagent'>, { sessionKey: requesterSessionKey }: ToolContext): Tool {
  return {
    name: 'subagents',
    label: 'Manage sub-agents',
    description: 'Lists the sub-agents of this session, stops one (kill), or gives one a message: send queues it, steer puts it in place of what it does now.',
    parameters: {
      type: 'object',
      additionalProperties: false,
      properties: {
        action: { type: 'string', enum: ['list', 'kill', 'steer', 'send'], description: 'Default list.' },
        target: { type: 'string', description: 'Key, label, number in the list or beginning of an id; for kill also "all".' },
        message: { type: 'string', description: 'For steer and send.' },
      },
    },
    execute: (_callId, { action = 'list', target, message }) =>
      refusable(async () => {
        if (action === 'list') return answer({ subagents: (await runtime.subagent.list({ requesterSessionKey })).map(row) });
        if (typeof target !== 'string' || target.trim() === '') return refusal(`${String(action)} needs a target; the action list shows them`);
        if (action === 'kill') return answer({ killed: (await killed(target)).map(({ childSessionKey }) => childSessionKey) });
        if (typeof message !== 'string' || message.trim() === '') return refusal(`${String(action)} needs a message`);
        const sent = await runtime.subagent.send({ requesterSessionKey, id: target, message, steer: action === 'steer' });
        return answer({ status: 'accepted', ...sent, note: 'Its answer comes to this session as a message.' });
      }),
  };

  async function killed(target: string): Promise<SubagentInfo[]> {
    if (target.trim().toLowerCase() !== 'all') return runtime.subagent.kill({ requesterSessionKey, id: target });
    const running = (await runtime.subagent.list({ requesterSessionKey })).filter(({ status }) => status === 'running');
    const all: SubagentInfo[] = [];
    for (const { childSessionKey: id } of running) all.push(...(await runtime.subagent.kill({ requesterSessionKey, id })));
    return all;
  }
}

function row({ requesterSessionKey: _requester, task, ...shown }: SubagentInfo, index: number) {
  return { number: index + 1, ...shown, task: task.length <= TASK_CHARS ? task : `${task.slice(0, TASK_CHARS - 1)}…` };
}
