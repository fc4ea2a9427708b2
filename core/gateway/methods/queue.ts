import { durarError } from '../../../sdk/errors.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { AgentService } from '../../agent/service.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

const LISTED = 200;

export function queueMethods({ agent }: GatewayContext): MethodFamily<'queue.list' | 'queue.retry' | 'queue.drop'> {
  const desk = (): AgentService['queue'] => {
    if (agent.queue === undefined) throw durarError('DUR_HOST_STARTING', { room: 'queue' });
    return agent.queue;
  };

  return {
    'queue.list': ({ limit = LISTED }) => ({ state: desk().state(), entries: desk().list(limit) }),

    'queue.retry'({ id, all = false }) {
      if ((id === undefined) !== all) throw new ProtocolError('INVALID_REQUEST', 'invalid queue.retry params: give either an id or all');
      return { ids: desk().retry(id) };
    },

    'queue.drop'({ id }) {
      desk().drop(id);
      return { id };
    },
  };
}
