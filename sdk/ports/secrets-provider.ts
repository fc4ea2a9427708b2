/**
 * Port: secrets provider. Serves one `source` of SecretRefs (`env`, `file`, `exec`, ...).
 * Source: the secrets page.
 */
export interface SecretsProvider {
  /** The value of `secrets.providers.<alias>.source` that it serves. */
  readonly source: string;
  /**
   * Resolves all ids of one alias in one call. An id that cannot be resolved is absent from `values` and named in `errors`; a throw fails
   * all of them. Values never appear in messages or logs.
   */
  resolve(params: {
    /** The alias: the key under `secrets.providers`. */
    provider: string;
    /** The block of that alias. */
    config: Record<string, unknown>;
    ids: string[];
    /** The gateway's effective environment: the process's own, `.env` files and the `env` block. */
    env?: Readonly<Record<string, string | undefined>>;
    signal?: AbortSignal;
  }): Promise<{
    values: Record<string, unknown>;
    errors?: Record<string, string>;
  }>;
}

/** A reference to a secret, as it stands in the configuration. */
export interface SecretRef {
  source: string;
  provider: string;
  id: string;
}
