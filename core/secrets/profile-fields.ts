import type { FoundField, SecretFields, SurfaceRow } from './fields.ts';

const KEYS = new Set(['key', 'keyRef', 'token', 'tokenRef']);
const FIELD: FoundField = { takesRef: true, rules: [] };

/** The secret fields of `auth-profiles.json`. What a sign-in renews is none of them. */
export const PROFILE_FIELDS: Pick<SecretFields, 'find' | 'isChoice'> = {
  find: (path) => (path.length === 3 && path[0] === 'profiles' && KEYS.has(String(path[2])) ? FIELD : undefined),
  isChoice: () => false,
};

/** The same as rows of the supported surface, for its documentation; of a sign-in, those that take no reference. */
export const PROFILE_ROWS: readonly SurfaceRow[] = [...KEYS, 'access', 'refresh'].map((key) => ({
  id: `profiles.*.${key}`,
  segments: ['profiles', '*', key],
  owner: 'host',
  shape: 'map',
  file: 'auth-profiles.json',
  takesRef: KEYS.has(key),
  rules: [],
}));
