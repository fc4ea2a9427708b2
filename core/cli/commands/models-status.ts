import { authEnvVars, declaredIds, declaredProvider } from '../../agent/models/declared-providers.ts';
import { parseModelRef } from '../../agent/models/models.ts';
import { agentEntry, defaultModelRef } from '../../agent/settings.ts';
import { describeProfiles, type ProfileRow } from '../../auth/overview.ts';
import type { Action } from '../command.ts';
import { countOf } from '../count.ts';
import type { Outlook } from '../planning.ts';
import { openAuthStore } from '../secrets/auth-store.ts';
import { printProfiles } from './models-auth.ts';

const DAY = 86_400_000;
const EXIT_MISSING = 1;
const EXIT_EXPIRING = 2;

/** What pays for a provider's calls, without the secret. */
interface ProviderRow {
  provider: string;
  effective: { kind: 'profile' | 'config' | 'env' | 'none'; detail: string; profileId?: string };
  profiles: { count: number; apiKey: number; token: number; oauth: number };
  /** The configuration or the environment has one too, and it is not used. */
  shadowed?: string;
}

/** `durar models status` */
export const modelsStatus: Action = async (context) => {
  const { output, options } = context;
  const opened = await openAuthStore(context);
  const { agentId, file, outlook } = opened;
  const { config } = outlook.loaded;
  const now = Date.now();
  const profiles = describeProfiles({ store: await opened.read(), auth: config.auth, now });
  const ref = defaultModelRef(config, agentEntry(config, agentId));
  const { provider: own = '' } = parseModelRef(ref);
  const ids = new Set([own, ...Object.keys(config.models.providers), ...profiles.map(({ provider }) => provider.toLowerCase()), ...known(outlook)]);
  const providers = [...ids].sort().map((provider) => describe(provider, outlook, profiles));
  const shown = providers.filter(({ provider, effective }) => provider === own || effective.kind !== 'none' || config.models.providers[provider] !== undefined);
  const oauth = { warnAfterMs: DAY, profiles: profiles.filter(({ type }) => type !== 'api_key').map((row) => ({ ...row, status: expiryOf(row, now) })) };
  const missing = needsOne(own, outlook) && providers.find(({ provider }) => provider === own)?.effective.kind === 'none';

  output.result({ agentId, defaultModel: ref, auth: { file, providers: shown, oauth, profiles, missing: missing ? [own] : [] } }, () => {
    const { paint } = output;
    output.pairs([
      ['agent', agentId],
      ['model', paint.info(ref)],
    ]);
    output.line();
    output.table(
      ['provider', 'credential', 'profiles'],
      shown.map(({ provider, effective, profiles: { count }, shadowed }) => [
        provider,
        effective.kind === 'none' ? (needsOne(provider, outlook) ? paint.error('missing') : paint.muted('none needed')) : effective.detail,
        `${count === 0 ? '-' : countOf(count, 'profile')}${shadowed === undefined ? '' : paint.muted(`, ${shadowed} is not used`)}`,
      ]),
    );
    if (profiles.length > 0) {
      output.line();
      printProfiles(profiles, output);
    }
    for (const { profileId, status } of oauth.profiles) if (status === 'expiring') output.note(`${paint.warn('!')} ${profileId} expires within a day.`);
    if (missing) output.note(`${paint.warn('!')} ${own} has no credential; \`durar models auth add --provider ${own}\` stores one.`);
  });
  if (options.check !== true) return 0;
  if (missing || oauth.profiles.some(({ status }) => status === 'expired')) return EXIT_MISSING;
  return oauth.profiles.some(({ status }) => status === 'expiring') ? EXIT_EXPIRING : 0;
};

function describe(provider: string, outlook: Outlook, all: readonly ProfileRow[]): ProviderRow {
  const rows = all.filter((row) => row.provider.toLowerCase() === provider);
  const first = rows.find(({ place }) => place === 1);
  const below = belowTheStore(provider, outlook);
  const count = (type: ProfileRow['type']) => rows.filter((row) => row.type === type).length;
  return {
    provider,
    effective:
      first === undefined
        ? (below ?? { kind: 'none', detail: '' })
        : { kind: 'profile', detail: `profile ${first.profileId} (${first.type})`, profileId: first.profileId },
    profiles: { count: rows.length, apiKey: count('api_key'), token: count('token'), oauth: count('oauth') },
    ...(first === undefined || below === undefined ? {} : { shadowed: below.detail }),
  };
}

/** What would pay without a profile. */
function belowTheStore(provider: string, outlook: Outlook): ProviderRow['effective'] | undefined {
  const { config, env } = outlook.loaded;
  if (config.models.providers[provider]?.apiKey !== undefined) return { kind: 'config', detail: `models.providers.${provider}.apiKey` };
  const name = variables(provider, outlook).find((each) => env[each] !== undefined && env[each] !== '');
  return name === undefined ? undefined : { kind: 'env', detail: name };
}

function variables(provider: string, outlook: Outlook): string[] {
  const named = [...(declaredProvider(outlook, provider)?.provider.envVars ?? []), ...authEnvVars(outlook, provider)];
  return named.length > 0 ? named : [`${provider.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_API_KEY`];
}

/** As far as manifests and configuration tell; an extension that declares no variable for its credential takes none. */
function needsOne(provider: string, outlook: Outlook): boolean {
  const declared = declaredProvider(outlook, provider)?.provider;
  const configured = outlook.loaded.config.models.providers[provider];
  if (declared?.keyless === true || (configured?.baseUrl !== undefined && configured.apiKey === undefined)) return false;
  return declared !== undefined || configured !== undefined || authEnvVars(outlook, provider).length > 0;
}

/** Providers of the installed extensions. */
function known({ plan }: Outlook): string[] {
  const kind = 'provider:';
  return [...declaredIds({ plan }), ...[...plan.owners.keys()].filter((key) => key.startsWith(kind)).map((key) => key.slice(kind.length))];
}

function expiryOf({ state, expires }: ProfileRow, now: number): 'ok' | 'expiring' | 'expired' | 'missing' | 'static' {
  if (state === 'expired' || state === 'invalid_expires') return 'expired';
  if (state !== 'ok') return 'missing';
  if (expires === undefined) return 'static';
  return expires - now < DAY ? 'expiring' : 'ok';
}
