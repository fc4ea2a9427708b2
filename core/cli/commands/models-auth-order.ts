import { durarError } from '../../../sdk/errors.ts';
import { describeProfiles } from '../../auth/overview.ts';
import { isKnownProfile, type ProfileStore } from '../../auth/profiles.ts';
import type { Action } from '../command.ts';
import { knownProfile, openAuthStore, wantedProvider } from '../secrets/auth-store.ts';

/** `durar models auth order get` */
export const orderGet: Action = async (context) => {
  const { output } = context;
  const provider = wantedProvider(context);
  const opened = await openAuthStore(context);
  const { auth } = opened.outlook.loaded.config;
  const store = await opened.read();
  const own = Object.entries(store.order ?? {}).find(([name]) => name.toLowerCase() === provider)?.[1];
  const configured = Object.entries(auth.order ?? {}).find(([name]) => name.toLowerCase() === provider)?.[1];
  const from = own !== undefined ? 'store' : configured !== undefined ? 'config' : 'none';
  const tried = describeProfiles({ store, auth, now: Date.now() })
    .filter((row) => row.provider.toLowerCase() === provider && row.place !== undefined)
    .map(({ profileId }) => profileId);
  output.result({ agentId: opened.agentId, provider, from, order: own ?? configured ?? null, tried }, () => {
    const who = { store: `set for the agent ${opened.agentId}`, config: 'set by auth.order', none: 'not set, they take turns' }[from];
    output.line(`The order of ${provider} is ${who}.`);
    for (const [at, id] of tried.entries()) output.line(`  ${at + 1}  ${output.paint.info(id)}`);
    if (tried.length === 0) output.line(output.paint.muted('  No profile of it can be used.'));
  });
};

/** `durar models auth order set <profiles...>` */
export const orderSet: Action = async (context) => {
  const provider = wantedProvider(context);
  const opened = await openAuthStore(context);
  const present = await opened.read();
  const ids = [...new Set(context.args.map((typed) => knownProfile(present, typed, provider)))];
  for (const id of ids) {
    const profile = present.profiles[id];
    if (isKnownProfile(profile) && profile.provider.toLowerCase() === provider) continue;
    throw durarError('DUR_CLI_USAGE', { reason: `the profile '${id}' does not belong to '${provider}'` });
  }
  const edit = (store: ProfileStore) => {
    store.order = { ...without(store.order, provider), [provider]: ids };
  };
  await opened.change(edit, { sentence: `${provider} is tried in the order ${ids.join(', ')}.`, document: { provider, order: ids } });
};

/** `durar models auth order clear` */
export const orderClear: Action = async (context) => {
  const provider = wantedProvider(context);
  const opened = await openAuthStore(context);
  const edit = (store: ProfileStore) => {
    const left = without(store.order, provider);
    if (Object.keys(left).length === 0) delete store.order;
    else store.order = left;
  };
  await opened.change(edit, { sentence: `The agent ${opened.agentId} has no order of its own for ${provider} any more.`, document: { provider, order: null } });
};

function without(order: Record<string, string[]> = {}, provider: string): Record<string, string[]> {
  return Object.fromEntries(Object.entries(order).filter(([name]) => name.toLowerCase() !== provider));
}
