import { errorText, reportError } from '../../../sdk/errors.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

/** What only the caller can put right. */
const CALLER_CODES = new Set(['DUR_PAIRING_UNKNOWN', 'DUR_PAIRING_SENDER']);

export function pairingMethods({
  pairing,
}: GatewayContext): MethodFamily<'channels.pairing.list' | 'channels.pairing.approve' | 'channels.pairing.reject' | 'channels.pairing.revoke'> {
  return {
    'channels.pairing.list': (filter) => pairing.list(filter),
    'channels.pairing.approve': (params) => told(() => pairing.approve(params)),
    'channels.pairing.reject': (params) => told(() => pairing.reject(params)),
    'channels.pairing.revoke': (params) => told(() => ({ revoked: pairing.revoke(params) })),
  };
}

async function told<Result>(work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const { code } = reportError(error);
    if (CALLER_CODES.has(code)) throw new ProtocolError('INVALID_REQUEST', errorText(error), { cause: error });
    throw error;
  }
}
