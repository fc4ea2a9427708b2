import type { SecretRef } from '../../sdk/index.ts';
import { isRecord } from '../config/config-path.ts';

const PROVIDER = /^[a-z][a-z0-9_-]{0,63}$/;

/** What an id must look like, for the sources whose form is fixed; any other source takes any id. */
const ID_RULES: Readonly<Record<string, { rule: string; fits(id: string): boolean }>> = {
  env: { rule: 'the name of an environment variable', fits: (id) => /^(?:Durar_)?[A-Z][A-Z0-9_]{0,127}$/.test(id) },
  file: { rule: "an absolute JSON pointer, or 'value'", fits: (id) => id === 'value' || /^(?:\/(?:[^~/]|~[01])*)+$/.test(id) },
  exec: {
    rule: 'letters, digits and ._:/- without the segments . and ..',
    fits: (id) => /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}$/.test(id) && !id.split('/').some((segment) => segment === '.' || segment === '..'),
  },
};

/** True for an object with exactly the keys of a reference. Its values may still be wrong: see `refProblem`. */
export function isSecretRef(value: unknown): value is SecretRef {
  return (
    isRecord(value) && Object.keys(value).length === 3 && typeof value.source === 'string' && typeof value.provider === 'string' && typeof value.id === 'string'
  );
}

/** What is wrong with a reference, or undefined. */
export function refProblem({ source, provider, id }: SecretRef): string | undefined {
  if (!PROVIDER.test(provider)) return `its provider must match ${PROVIDER.source}`;
  const rule = Object.hasOwn(ID_RULES, source) ? ID_RULES[source] : undefined;
  if (id === '' || rule?.fits(id) === false) return `its id must be ${rule?.rule ?? 'a text'}`;
  return undefined;
}

/** Equal for references to the same secret. */
export function keyOf({ source, provider, id }: SecretRef): string {
  return `${source}\0${provider}\0${id}`;
}
