import { durarError } from '../../../sdk/errors.ts';
import { declaredProvider } from '../../agent/models/declared-providers.ts';
import { explicitOrder } from '../../auth/order.ts';
import { describeProfiles, type ProfileRow } from '../../auth/overview.ts';
import type { AuthProfile, ProfileStore } from '../../auth/profiles.ts';
import { isForbiddenKey } from '../../config/config-path.ts';
import { templateNames } from '../../config/env.ts';
import { keyOf } from '../../secrets/activate.ts';
import { refProblem } from '../../secrets/ref.ts';
import type { Action, CommandContext } from '../command.ts';
import type { Output } from '../output.ts';
import { type AuthStore, knownProfile, openAuthStore, wantedProvider } from '../secrets/auth-store.ts';
import { readSecret } from '../secrets/secret-input.ts';

const HOUR = 3_600_000;
const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: HOUR, d: 24 * HOUR, w: 168 * HOUR };

/** `durar models auth list` */
export const authList: Action = async (context) => {
  const { output, options } = context;
  const opened = await openAuthStore(context);
  const { agentId, file, outlook } = opened;
  const wanted = options.provider === undefined ? undefined : wantedProvider(context);
  const store = await opened.read();
  const all = describeProfiles({ store, auth: outlook.loaded.config.auth, now: Date.now() });
  const profiles = all.filter(({ provider }) => wanted === undefined || provider.toLowerCase() === wanted);
  output.result({ agentId, file, profiles }, () => {
    if (profiles.length === 0) output.line('No credential is stored; `durar models auth add --provider <id>` stores one.');
    else printProfiles(profiles, output);
  });
};

/** `durar models auth add` */
export const authAdd: Action = async (context) => {
  const provider = wantedProvider(context);
  const id = newId(context, provider, 'default');
  const store = await openAuthStore(context);
  const { ref } = context.options as { ref?: string };
  if (ref !== undefined) {
    const keyRef = parseRef(ref);
    await assertResolves(context, store, id, keyRef);
    return save(context, store, id, { type: 'api_key', provider, keyRef });
  }
  return save(context, store, id, { type: 'api_key', provider, key: literal(await readSecret('API key')) });
};

/** `durar models auth paste-token` */
export const authPasteToken: Action = async (context) => {
  const provider = wantedProvider(context);
  const id = newId(context, provider, 'manual');
  const store = await openAuthStore(context);
  const { expiresIn } = context.options as { expiresIn?: string };
  const lasts = expiresIn === undefined ? undefined : readSpan(expiresIn);
  const token = literal(await readSecret('token'));
  return save(context, store, id, { type: 'token', provider, token, ...(lasts === undefined ? {} : { expires: Date.now() + lasts }) });
};

/** `durar models auth remove <profile>` */
export const authRemove: Action = async (context) => {
  const opened = await openAuthStore(context);
  const id = knownProfile(await opened.read(), context.args[0] ?? '');
  const remove = (store: ProfileStore) => {
    delete store.profiles[id];
    delete store.usageStats?.[id];
    for (const [provider, good] of Object.entries(store.lastGood ?? {})) if (good === id) delete store.lastGood?.[provider];
    for (const [provider, ids] of Object.entries(store.order ?? {})) {
      const left = ids.filter((each) => each !== id);
      if (left.length === 0) delete store.order?.[provider];
      else if (store.order !== undefined) store.order[provider] = left;
    }
  };
  await opened.change(remove, { sentence: `The profile ${id} is removed.`, document: { removed: id } });
};

/** One line a profile, nothing secret. */
export function printProfiles(rows: readonly ProfileRow[], output: Output): void {
  const { paint } = output;
  output.table(
    ['profile', 'kind', 'kept as', 'tried', 'state'],
    rows.map((row) => [paint.info(row.profileId), row.type, row.source, row.place === undefined ? '-' : String(row.place), stateText(row, output)]),
  );
}

export function stateText({ state, blockedUntil, blockedBy, expires, place }: ProfileRow, { paint }: Output): string {
  if (state !== 'ok') return paint.error(state.replaceAll('_', ' '));
  if (blockedUntil !== undefined)
    return paint.warn(`rests until ${new Date(blockedUntil).toLocaleString()}${blockedBy === undefined ? '' : ` (${blockedBy})`}`);
  if (place === undefined) return paint.muted('left out by the order');
  return expires === undefined ? paint.success('ok') : `${paint.success('ok')}, expires ${new Date(expires).toLocaleString()}`;
}

async function save(context: CommandContext, opened: AuthStore, id: string, profile: AuthProfile): Promise<void> {
  const { output } = context;
  const { config } = opened.outlook.loaded;
  const { plan } = opened.outlook;
  const { provider } = profile;
  let replaced = false;
  let isLeftOut = false;
  const put = (store: ProfileStore) => {
    replaced = store.profiles[id] !== undefined;
    store.profiles[id] = profile;
    // what was held against the old credential is not the new one's fault
    delete store.usageStats?.[id];
    isLeftOut = explicitOrder(store, config.auth, provider)?.includes(id) === false;
  };
  await opened.change(put, {
    sentence: `The profile ${id} is stored for the agent ${opened.agentId}.`,
    document: { profileId: id, provider, type: profile.type },
  });
  const note = (text: string) => output.note(`${output.paint.warn('!')} ${text}`);
  if (replaced) output.note(output.paint.muted('It takes the place of the one that had this name.'));
  if (isLeftOut) note(`The order of '${provider}' leaves it out; \`durar models auth order set --provider ${provider} ${id} ...\` puts it in.`);
  const isKnown =
    config.models.providers[provider] !== undefined || declaredProvider({ plan }, provider) !== undefined || plan.owners.has(`provider:${provider}`);
  if (!isKnown) note(`No configuration and no installed extension names the provider '${provider}' yet.`);
}

function newId({ options }: CommandContext, provider: string, name: string): string {
  const given = String(options.profileId ?? name);
  const id = given.includes(':') ? given : `${provider}:${given}`;
  if (!/^[^\s@/\\]+(?:@[^\s/\\]+)?$/.test(given) || isForbiddenKey(given))
    throw durarError('DUR_CLI_USAGE', { reason: `'${given}' is not a name for a profile` });
  if (!id.startsWith(`${provider}:`)) throw durarError('DUR_CLI_USAGE', { reason: `the profile '${id}' must begin with '${provider}:'` });
  return id;
}

/** What looks like a reference to the environment is written so that it is none. */
function literal(secret: string): string {
  return templateNames(secret).reduce((text, name) => text.replaceAll(`\${${name}}`, () => `$\${${name}}`), secret);
}

function parseRef(text: string) {
  const [, source = '', provider = '', id = ''] = /^([^:]+):([^:]+):(.+)$/.exec(text) ?? [];
  const ref = { source, provider, id };
  const problem = source === '' ? 'write it as <source>:<alias>:<id>, for example env:default:OPENAI_API_KEY' : refProblem(ref);
  if (problem !== undefined) throw durarError('DUR_CLI_USAGE', { reason: `--ref '${text}': ${problem}` });
  return ref;
}

/** A store with a reference that fails would keep the gateway from starting. */
async function assertResolves(context: CommandContext, { outlook, file }: AuthStore, profileId: string, ref: ReturnType<typeof parseRef>): Promise<void> {
  const { resolveHere } = await import('../secrets/local-sources.ts');
  const { problems } = await resolveHere(context, outlook, [ref]);
  const problem = problems.get(keyOf(ref));
  if (problem !== undefined) throw problem(['profiles', profileId, 'keyRef'], file);
}

function readSpan(text: string): number {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)(s|m|h|d|w)$/.exec(text.trim()) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? Number.NaN);
  if (!(ms > 0)) throw durarError('DUR_CLI_USAGE', { reason: `--expires-in '${text}' is not a duration such as 365d or 12h` });
  return ms;
}
