import { createHash, randomBytes } from 'node:crypto';
import type { ProtocolRole } from '../../sdk/protocol/scopes.ts';
import type { State } from '../state/state.ts';
import { covers } from './device-record.ts';

/** What a setup code can bring a device, whatever it asks for. */
export const BOOTSTRAP_ROLES: readonly ProtocolRole[] = ['node', 'operator'];
export const BOOTSTRAP_SCOPES: readonly string[] = ['operator.approvals', 'operator.read', 'operator.talk.secrets', 'operator.write'];

/** One-time tokens by which a new device pairs itself. Only their hashes are kept. */
export interface Bootstrap {
  issue(): { bootstrapToken: string; expiresAtMs: number };
  /** True when this device may use it for that role and those scopes; it is its token from then on. */
  check(token: string, claim: { deviceId: string; publicKey: string; role: ProtocolRole; scopes: readonly string[] }): boolean;
  consume(token: string): void;
}

const LIFE_MS = 600_000;

const STEPS = ['CREATE TABLE bootstrap_tokens (hash TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, device_id TEXT, public_key TEXT) STRICT, WITHOUT ROWID'];

export function createBootstrap({ db }: Pick<State, 'db'>, now: () => number = Date.now): Bootstrap {
  db.migrate('bootstrap', STEPS);
  const hashOf = (token: string) => createHash('sha256').update(token).digest('hex');
  return {
    issue() {
      db.run('DELETE FROM bootstrap_tokens WHERE expires_at <= ?', now());
      const bootstrapToken = randomBytes(32).toString('base64url');
      const expiresAtMs = now() + LIFE_MS;
      db.run('INSERT INTO bootstrap_tokens (hash, expires_at) VALUES (?, ?)', hashOf(bootstrapToken), expiresAtMs);
      return { bootstrapToken, expiresAtMs };
    },
    check(token, { deviceId, publicKey, role, scopes }) {
      if (!BOOTSTRAP_ROLES.includes(role) || !covers(role, BOOTSTRAP_SCOPES, scopes)) return false;
      const bound = db.run(
        `UPDATE bootstrap_tokens SET device_id = ?, public_key = ?
         WHERE hash = ? AND expires_at > ? AND (device_id IS NULL OR (device_id = ? AND public_key = ?))`,
        deviceId,
        publicKey,
        hashOf(token),
        now(),
        deviceId,
        publicKey,
      );
      return bound > 0;
    },
    consume: (token) => void db.run('DELETE FROM bootstrap_tokens WHERE hash = ?', hashOf(token)),
  };
}
