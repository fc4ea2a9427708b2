import { durarError, errorCode } from '../../../sdk/errors.ts';
import { formatPath } from '../../config/config-path.ts';
import { createSecretFields, keyOf, type SecretUse, targetedUses } from '../../secrets/activate.ts';
import type { CommandContext } from '../command.ts';
import { type Outlook, readOutlook } from '../planning.ts';
import { openRpc } from '../rpc.ts';
import { isServed } from '../served.ts';

/** What a command that reads a secret it cannot get says of it. */
export const UNAVAILABLE = 'configured but unavailable in this command path';

/** What a command shows to a gateway. */
export const GATEWAY_SECRETS = ['gateway.auth.token', 'gateway.auth.password', 'gateway.remote.token', 'gateway.remote.password'];

/** A reference that a command looks at. Values are never part of it. */
export interface SecretState {
  path: string;
  state: 'available' | 'inactive' | 'unavailable';
  /** Where it was found: in the secrets that the gateway has, or by its source. */
  from?: 'gateway' | 'source';
  /** Why it is out of use, or not available. */
  reason?: string;
}

export interface SecretLookup {
  states: SecretState[];
  /** The secret of a path, as `SecretState` spells it. */
  value(path: string): string | undefined;
}

export interface LookupOptions {
  /** Named to the gateway. */
  command: string;
  /** Paths or rows of the supported surface; absent: every field. */
  targets?: readonly string[];
  outlook?: Outlook;
}

/**
 * Gets the secrets that a command needs and no others: from the running gateway, and what it does not have, from its source. Never throws for one
 * that is unavailable; that weakens only what this command shows.
 */
export async function lookUpSecrets(context: CommandContext, options: LookupOptions): Promise<SecretLookup> {
  const outlook = options.outlook ?? (await readOutlook(context));
  const { loaded, catalog, plan } = outlook;
  const uses = targetedUses({
    config: loaded.config,
    fields: createSecretFields(catalog.entries),
    facts: { env: context.env, isServed: isServed(plan) },
    targets: options.targets,
  });
  const wanted = uses.filter(({ activity }) => activity.state !== 'inactive');
  const values = wanted.length === 0 ? new Map<string, string>() : await askGateway(context, options.command, wanted);
  const known = new Set(values.keys());
  const missing = wanted.filter(({ path }) => !values.has(formatPath(path)));
  const reasons = missing.length === 0 ? new Map<string, string>() : await askSources(context, outlook, missing, values);
  return {
    states: uses.map(({ path, activity }) => {
      const at = formatPath(path);
      if (activity.state === 'inactive') return { path: at, state: 'inactive', reason: activity.because };
      if (values.has(at)) return { path: at, state: 'available', from: known.has(at) ? 'gateway' : 'source' };
      return { path: at, state: 'unavailable', reason: reasons.get(at) ?? '' };
    }),
    value: (path) => values.get(path),
  };
}

/** The same for a command that cannot do without: throws `DUR_SECRET_UNRESOLVED` for the first that is unavailable. */
export async function requireSecrets(context: CommandContext, options: LookupOptions): Promise<SecretLookup> {
  const lookup = await lookUpSecrets(context, options);
  const missing = lookup.states.find(({ state }) => state === 'unavailable');
  if (missing === undefined) return lookup;
  const { path, reason } = missing;
  throw durarError('DUR_SECRET_UNRESOLVED', { path, reason: `${reason}; it is ${UNAVAILABLE}` });
}

/** The active secrets of the running gateway, by path. None where it does not answer or does not let us. */
async function askGateway(context: CommandContext, commandName: string, uses: readonly SecretUse[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  try {
    const rpc = await openRpc(context, { readOnly: true });
    try {
      const targetIds = uses.map(({ path }) => formatPath(path));
      const { assignments } = (await rpc.call('secrets.resolve', { commandName, targetIds })) as { assignments: Array<{ path?: string; value: unknown }> };
      for (const { path, value } of assignments) if (path !== undefined && typeof value === 'string') found.set(path, value);
    } finally {
      rpc.close();
    }
  } catch (error) {
    // whoever asks learns from its own connection whether the gateway answers; here its source is the other way
    if (errorCode(error)?.startsWith('DUR_') !== true) throw error;
  }
  return found;
}

/** Adds to `values` what the sources have, and returns why the others are missing. */
async function askSources(context: CommandContext, outlook: Outlook, uses: readonly SecretUse[], values: Map<string, string>): Promise<Map<string, string>> {
  const { resolveHere } = await import('./local-sources.ts');
  const refs = uses.flatMap((use) => use.refs);
  const resolution = await resolveHere(context, outlook, refs);
  const reasons = new Map<string, string>();
  for (const { path, refs: own, fill } of uses) {
    const at = formatPath(path);
    const problem = own.map((ref) => resolution.problems.get(keyOf(ref))).find((each) => each !== undefined);
    if (problem === undefined) values.set(at, fill(resolution.values));
    else reasons.set(at, problem(path).message.replace(/^.*? cannot be resolved: /, ''));
  }
  return reasons;
}

/** For `status` and `doctor`. */
export function describeUnavailable({ path, reason }: SecretState): string {
  return `${path}: ${UNAVAILABLE}${reason === undefined || reason === '' ? '' : ` (${reason})`}`;
}
