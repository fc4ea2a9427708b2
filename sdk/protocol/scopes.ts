/** The algebra of operator scopes: admin satisfies every operator scope, write satisfies read, all else is exact. */

export const ADMIN_SCOPE = 'operator.admin';
export const READ_SCOPE = 'operator.read';
export const WRITE_SCOPE = 'operator.write';
export const APPROVALS_SCOPE = 'operator.approvals';
export const PAIRING_SCOPE = 'operator.pairing';

/** What the bundled command line asks for. */
export const OPERATOR_SCOPES: readonly string[] = [ADMIN_SCOPE, READ_SCOPE, WRITE_SCOPE, APPROVALS_SCOPE, PAIRING_SCOPE];

/** Names under these prefixes need admin, whatever an extension asks for. */
export const ADMIN_PREFIXES: readonly string[] = ['config.', 'exec.approvals.', 'wizard.', 'update.'];

export type ProtocolRole = 'operator' | 'node';

/** True when `held` satisfies `needed` for the role; a node's scopes match exactly. */
export function hasScope(role: ProtocolRole, held: ReadonlySet<string> | readonly string[], needed: string): boolean {
  const has = (scope: string) => (Array.isArray(held) ? held.includes(scope) : (held as ReadonlySet<string>).has(scope));
  if (has(needed)) return true;
  if (role !== 'operator' || !needed.startsWith('operator.')) return false;
  return has(ADMIN_SCOPE) || (needed === READ_SCOPE && has(WRITE_SCOPE));
}

/** The stored form of a scope list: implied scopes written out, no duplicates, sorted. */
export function normalizeScopes(role: ProtocolRole, scopes: readonly string[]): string[] {
  const all = new Set(scopes);
  if (role === 'operator') {
    if (all.has(ADMIN_SCOPE)) all.add(READ_SCOPE).add(WRITE_SCOPE);
    if (all.has(WRITE_SCOPE)) all.add(READ_SCOPE);
  }
  return [...all].sort();
}
