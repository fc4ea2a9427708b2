import { isControlUi, isWebchat } from '../../sdk/protocol/clients.ts';
import type { ConnectClient } from '../../sdk/protocol/generated/types.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';
import type { ControlUiSettings } from './options.ts';
import { isLoopback, type Peer } from './peer.ts';

/** A page may connect only from where the operator allows pages. Throws `HandshakeRefusal`. */
export function checkOrigin(client: ConnectClient, settings: ControlUiSettings, { origin, host, local }: Peer): void {
  if (origin === undefined && !isControlUi(client) && !isWebchat(client)) return;
  const url = origin === undefined ? null : URL.parse(origin);
  if (origin === undefined || url === null) throw refuse('origin missing or invalid');
  const allowed = settings.allowedOrigins ?? [];
  const isAllowed =
    allowed.includes('*') ||
    allowed.some((entry) => entry.toLowerCase() === origin.toLowerCase()) ||
    (settings.dangerouslyAllowHostHeaderOriginFallback === true && url.host === host?.toLowerCase()) ||
    (local && isLoopback(url.hostname));
  if (!isAllowed) throw refuse('origin not allowed');
}

function refuse(reason: string): HandshakeRefusal {
  return new HandshakeRefusal(
    'INVALID_REQUEST',
    'origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)',
    {
      code: 'CONTROL_UI_ORIGIN_NOT_ALLOWED',
      reason,
    },
  );
}
