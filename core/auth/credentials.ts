import { type DurarError, durarError, errorCode, errorText } from '../../sdk/index.ts';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../logging/logger.ts';
import { blockedUntil } from './cooldown.ts';
import { type CredentialUse, createCredentialUse } from './credential-use.ts';
import { importLegacy } from './legacy.ts';
import { explicitOrder, orderProfiles, profileState } from './order.ts';
import { type AuthProfile, agentIds, isKnownProfile, type ProfileStore, profilesFile, readProfiles } from './profiles.ts';
import { createUsageBook } from './usage.ts';

export type { CredentialUse };

/** The stored credentials that the process uses. What they are changes only with an activation; how they have served, with every call. */
export interface Credentials {
  /** Reads the stores of all agents for an activation, after what older files held was taken over. What is wrong with a store is in `errors`. */
  prepare(config: Config): Promise<PreparedProfiles>;
  /**
   * The stored credential of a provider for one run; undefined when there is none to use. Throws `DUR_AUTH_PROFILE_UNKNOWN` and
   * `DUR_AUTH_PROFILE_UNUSABLE` for a profile that was asked for by name.
   */
  credentialFor(resolvedConfig: object, request: CredentialRequest): CredentialUse | undefined;
  /** Resolves when how profiles have served is on disk. */
  flush(): Promise<void>;
}

export interface CredentialRequest {
  provider: string;
  agentId: string;
  /** The one that a person chose: this or none. With or without the provider's name before it. */
  pinned?: string | undefined;
  /** The one that the session had; it stays as long as it is not put away. */
  preferred?: string | undefined;
}

export interface PreparedProfiles {
  /** The files as they are, for `activateSecrets`. */
  documents: Array<{ file: string; value: ProfileStore }>;
  errors: DurarError[];
  /** Binds what the activation made of the documents to its configuration, and returns the texts that logs must mask. */
  bind(resolvedConfig: object, documents: readonly object[]): string[];
}

interface Snapshot {
  auth: Config['auth'];
  byAgent: ReadonlyMap<string, { file: string; store: ProfileStore }>;
}

export function createCredentials({ paths, log, now = Date.now }: { paths: Paths; log: Logger; now?: () => number }): Credentials {
  const snapshots = new WeakMap<object, Snapshot>();
  const usage = createUsageBook({ log });

  async function read(file: string): Promise<ProfileStore | undefined> {
    const legacy = await importLegacy(file).catch((error: unknown) => {
      // nothing depends on the older file
      log.warn(`the static keys beside '${file}' are not taken over: ${errorText(error)}`);
      return undefined;
    });
    if (legacy !== undefined) log.info(`static keys of '${legacy.file}' are kept in auth-profiles.json now`, { ...legacy });
    const store = await readProfiles(file);
    usage.load(file, store?.usageStats);
    return store;
  }

  return {
    async prepare(config) {
      await usage.flush();
      const files = new Map(agentIds(config).map((agentId) => [agentId, profilesFile({ config, paths, agentId })]));
      const unique = [...new Set(files.values())];
      const results = await Promise.allSettled(unique.map(read));
      const errors: DurarError[] = [];
      const documents: PreparedProfiles['documents'] = [];
      for (const [at, result] of results.entries()) {
        const file = unique[at] ?? '';
        if (result.status === 'fulfilled') {
          if (result.value !== undefined) documents.push({ file, value: result.value });
        } else if (errorCode(result.reason)?.startsWith('DUR_AUTH_')) errors.push(result.reason as DurarError);
        else throw result.reason;
      }
      return {
        documents,
        errors,
        bind(resolvedConfig, resolved) {
          const stores = new Map(documents.map(({ file }, at) => [file, resolved[at] as ProfileStore]));
          const byAgent = new Map<string, { file: string; store: ProfileStore }>();
          for (const [agentId, file] of files) {
            const store = stores.get(file);
            if (store !== undefined) byAgent.set(agentId, { file, store });
          }
          snapshots.set(resolvedConfig, { auth: config.auth, byAgent });
          return [...stores.values()].flatMap((store) => Object.values(store.profiles).flatMap(secretTexts));
        },
      };
    },

    credentialFor(resolvedConfig, { agentId, provider: given, pinned, preferred }) {
      const provider = given.toLowerCase();
      const snapshot = snapshots.get(resolvedConfig);
      const own = snapshot?.byAgent.get(agentId.toLowerCase());
      if (pinned !== undefined) assertUsable(own?.store, { provider, id: pinned, now: now() });
      if (snapshot === undefined || own === undefined) return undefined;
      const { auth } = snapshot;
      const { file, store } = own;
      const way = { provider, file, store, settings: auth.cooldowns, usage, log, now };
      if (pinned !== undefined) return createCredentialUse({ ...way, first: profileIdOf(store, provider, pinned), others: [] });
      const usageStats = usage.of(file);
      const order = orderProfiles({ store: { ...store, usageStats }, auth, provider, now: now() });
      // an order that somebody wrote down holds for every session
      const mayStay = explicitOrder(store, auth, provider) === undefined;
      const kept = mayStay ? order.find((id) => id === preferred && blockedUntil(usageStats[id], now()) === undefined) : undefined;
      const first = kept ?? order[0];
      return first === undefined ? undefined : createCredentialUse({ ...way, first, others: order });
    },

    flush: () => usage.flush(),
  };
}

function profileIdOf(store: ProfileStore | undefined, provider: string, id: string): string {
  return store?.profiles[id] === undefined && store?.profiles[`${provider}:${id}`] !== undefined ? `${provider}:${id}` : id;
}

function assertUsable(store: ProfileStore | undefined, { provider, id, now }: { provider: string; id: string; now: number }): void {
  const profile = store?.profiles[profileIdOf(store, provider, id)];
  if (!isKnownProfile(profile)) throw durarError('DUR_AUTH_PROFILE_UNKNOWN', { id, where: ` for '${provider}'` });
  const state = profile.provider.toLowerCase() === provider ? profileState(profile, now) : `it belongs to '${profile.provider}'`;
  if (state !== 'ok') throw durarError('DUR_AUTH_PROFILE_UNUSABLE', { id, provider, reason: state });
}

/** Everything in a profile that must never be seen. */
function secretTexts(profile: AuthProfile): string[] {
  const { key, token, access, refresh } = profile as unknown as Record<string, unknown>;
  return [key, token, access, refresh].filter((text) => typeof text === 'string' && text !== '') as string[];
}
