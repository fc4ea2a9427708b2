import type { Action } from '../command.ts';
import { countOf } from '../count.ts';
import { openRpc } from '../rpc.ts';

interface HealthPayload {
  ok: boolean;
  durationMs: number;
  channelOrder: string[];
  channelLabels: Record<string, string>;
  channels: Record<string, unknown>;
  agents: Array<{ agentId: string; isDefault: boolean; sessions: { count: number } }>;
  error?: string;
}

/** `durar health`: exit code 0 only when a gateway answers and says that it is well. */
export const health: Action = async (context) => {
  const { output, options } = context;
  const rpc = await openRpc(context);
  try {
    const payload = (await rpc.call('health', options.probe ? { probe: true } : {})) as HealthPayload;
    output.result(payload, () => {
      const { paint } = output;
      output.line(payload.ok ? `${paint.success('✓')} healthy (${rpc.url})` : `${paint.error('✗')} ${payload.error ?? 'not healthy'} (${rpc.url})`);
      output.pairs([
        ['version', rpc.version],
        [
          'agents',
          payload.agents
            .map(({ agentId, isDefault, sessions }) => `${agentId}${isDefault ? ' (default)' : ''}: ${countOf(sessions.count, 'session')}`)
            .join(', '),
        ],
        ['channels', payload.channelOrder.map((id) => payload.channelLabels[id] ?? id).join(', ') || 'none'],
      ]);
    });
    return payload.ok ? 0 : 1;
  } finally {
    rpc.close();
  }
};
