import { createHash, generateKeyPairSync } from 'node:crypto';
import type { State } from '../state/state.ts';

/** The gateway's own name to others: an Ed25519 key that stays the same for as long as its state does. */
export interface GatewayIdentity {
  /** SHA-256 of the raw public key, hex. */
  deviceId: string;
  /** base64url of the raw key */
  publicKey: string;
}

const PLACE = ['gateway', 'identity'] as const;

/** The identity in the state; it is made when it is first asked for. */
export function readIdentity({ kv }: Pick<State, 'kv'>): GatewayIdentity {
  const kept = kv.get(...PLACE) as { publicKey?: unknown } | undefined;
  const publicKey = typeof kept?.publicKey === 'string' ? kept.publicKey : make(kv);
  return { deviceId: createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex'), publicKey };
}

function make(kv: State['kv']): string {
  const pair = generateKeyPairSync('ed25519');
  const publicKey = pair.publicKey.export({ format: 'jwk' }).x ?? '';
  kv.set(...PLACE, { publicKey, privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), createdAtMs: Date.now() });
  return publicKey;
}
