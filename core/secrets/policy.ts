import { type DurarError, durarError } from '../../sdk/index.ts';
import { isRecord, toPointer } from '../config/config-path.ts';
import { placeOf } from './batches.ts';
import { isSecretRef } from './ref.ts';

/** The keys of a stored credential that hold, or refer to, what a static credential is. */
const CREDENTIAL_KEYS = ['key', 'keyRef', 'token', 'tokenRef', 'access', 'refresh'];

/**
 * A sign-in that is renewed cannot come from a source that is only read: a provider with `auth: "oauth"` takes no reference, nor does a stored
 * credential whose profile has the mode `oauth`, in the configuration or in its own file.
 */
export function oauthProblems(config: object, documents: ReadonlyArray<{ file: string; value: object }>): DurarError[] {
  const at = (holder: unknown, ...keys: string[]) => keys.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), holder);
  const entries = (value: unknown) => (isRecord(value) ? Object.entries(value) : []);
  const refuse = (path: readonly string[], file?: string) =>
    durarError('DUR_SECRET_OAUTH', { path: placeOf(path, file) }, { owner: { pointer: toPointer(path), ...(file === undefined ? {} : { file }) } });

  const providers = entries(at(config, 'models', 'providers'))
    .filter(([, provider]) => isRecord(provider) && provider.auth === 'oauth' && isSecretRef(provider.apiKey))
    .map(([id]) => refuse(['models', 'providers', id, 'apiKey']));
  const stored = documents.flatMap(({ file, value }) =>
    entries(at(value, 'profiles')).flatMap(([id, profile]) => {
      const isOAuth = at(profile, 'type') === 'oauth' || at(config, 'auth', 'profiles', id, 'mode') === 'oauth';
      const keys = isOAuth ? CREDENTIAL_KEYS.filter((key) => isSecretRef(at(profile, key))) : [];
      return keys.map((key) => refuse(['profiles', id, key], file));
    }),
  );
  return [...providers, ...stored];
}
