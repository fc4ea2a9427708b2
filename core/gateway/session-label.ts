import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { GatewaySessions } from './options.ts';

/** A label names one session. Throws INVALID_REQUEST when another one than `key` has it. */
export async function assertLabelFree(sessions: Pick<GatewaySessions, 'list'>, label: string, key: string): Promise<void> {
  const { sessions: holders } = await sessions.list({ label, limit: 2 });
  if (holders.some((holder) => holder.key !== key)) throw new ProtocolError('INVALID_REQUEST', `label already in use: ${label}`);
}
