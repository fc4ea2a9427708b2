import type { ConnectParams } from '../../sdk/protocol/generated/types.ts';
import type { ProtocolRole } from '../../sdk/protocol/scopes.ts';
import type { GatewayContext } from './context.ts';
import type { Peer } from './peer.ts';

/** One `connect`, its params valid, on its way through the checks. */
export interface Attempt {
  context: Pick<GatewayContext, 'access' | 'bootstrap' | 'devices' | 'hub'>;
  connect: ConnectParams;
  role: ProtocolRole;
  peer: Peer;
  nonce: string;
}
