import { type ConfigChange, diffConfig, type ReloadClass } from '../../config/changes.ts';
import { formatPath } from '../../config/config-path.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { carryOverKey } from '../../kernel/carry-over.ts';
import type { Plan } from '../../manifest/catalog.ts';
import { createSecretFields, type SecretUse, targetedUses } from '../../secrets/activate.ts';
import type { Output } from '../output.ts';
import type { Outlook } from '../planning.ts';
import { isServed } from '../served.ts';

/** What a change of one key does to a running gateway. */
export type KeyEffect = 'hot' | 'listener' | 'none' | 'restart';

/** What a configuration does to a gateway that runs with another one. */
export interface ConfigEffect {
  /** Of that gateway; decides what becomes of the keys. */
  mode: string;
  keys: Array<{ path: string; effect: KeyEffect }>;
  extensions: Array<{ id: string; effect: 'loaded' | 'reloaded' | 'stopped' }>;
  /** References and templates that are resolved with it, and were not before. */
  secrets: Array<{ path: string; refs: string[]; because: string }>;
}

/** `changes` where the caller knows them better than a comparison, since it may see no secrets. */
export function effectBetween(
  before: Outlook,
  after: Outlook,
  changes: readonly Pick<ConfigChange, 'path' | 'reload'>[] = changesBetween(before, after),
): ConfigEffect {
  const { mode } = before.loaded.config.gateway.reload;
  const known = new Set(activeSecrets(before).map(({ path }) => path));
  return {
    mode,
    keys: changes.map(({ path, reload }) => ({ path, effect: effectOf(reload, mode) })),
    extensions: extensionEffects(before, after),
    secrets: activeSecrets(after).filter(({ path }) => !known.has(path)),
  };
}

/** Prints it in a few lines; nothing where nothing changes. */
export function printEffect({ mode, keys, extensions, secrets }: ConfigEffect, output: Output): void {
  const { paint } = output;
  const says: Record<KeyEffect, string> = {
    hot: 'counts at once',
    listener: mode === 'restart' ? 'restarts the gateway inside its process' : 'moves the listener; clients connect anew',
    restart: `waits for the next start (gateway.reload.mode is ${mode})`,
    none: 'has no effect on a running gateway',
  };
  if (keys.length > 0)
    output.table(
      ['key', 'effect'],
      keys.map(({ path, effect }) => [paint.info(path), says[effect]]),
    );
  for (const { id, effect } of extensions) output.line(`extension ${paint.bold(id)} is ${effect}`);
  for (const { path, refs, because } of secrets) output.line(`secret ${paint.info(path)} is resolved ${paint.muted(`(${refs.join(', ')}; ${because})`)}`);
}

function changesBetween(before: Outlook, after: Outlook): ConfigChange[] {
  return diffConfig(before.loaded.config, after.loaded.config);
}

function effectOf(reload: ReloadClass, mode: string): KeyEffect {
  if (reload === 'none') return 'none';
  if (mode === 'off') return 'restart';
  if (mode === 'restart') return 'listener';
  if (reload === 'live') return 'hot';
  return mode === 'hot' ? 'restart' : 'listener';
}

function extensionEffects(before: Outlook, after: Outlook): ConfigEffect['extensions'] {
  const [old, now] = [runningKeys(before), runningKeys(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((id): ConfigEffect['extensions'] => {
    if (!now.has(id)) return [{ id, effect: 'stopped' }];
    if (!old.has(id)) return [{ id, effect: 'loaded' }];
    return old.get(id) === now.get(id) ? [] : [{ id, effect: 'reloaded' }];
  });
}

/** What each extension that is on depends on, but for its code. */
function runningKeys({ loaded, plan }: { loaded: LoadedConfig; plan: Plan }): Map<string, string> {
  const running = [...plan.extensions.values()].filter(({ enabled, blocked }) => enabled && blocked === undefined);
  return new Map(running.map((planned) => [planned.entry.id, carryOverKey(planned, '', planned.config, loaded.config, plan)]));
}

/** The references and templates that a configuration would have resolved. */
export function secretUses({ loaded, plan, catalog }: Outlook): SecretUse[] {
  const { config, env } = loaded;
  const uses = targetedUses({ config, fields: createSecretFields(catalog.entries), facts: { env, isServed: isServed(plan) } });
  return uses.filter(({ activity }) => activity.state !== 'inactive');
}

function activeSecrets(outlook: Outlook): ConfigEffect['secrets'] {
  return secretUses(outlook).map(({ path, refs, activity }) => ({
    path: formatPath(path),
    refs: refs.map(({ source, provider, id }) => `${source}:${provider}:${id}`),
    because: activity.because,
  }));
}
