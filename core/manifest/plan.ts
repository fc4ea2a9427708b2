import { CONTRIBUTION_ROWS, type ContributionKind, SLOTS, type SlotName } from '../../sdk/index.ts';
import type { Catalog, CatalogEntry, Finding, LoadTime, Plan, PlannedExtension, SlotChoice } from './catalog.ts';
import { checkHost } from './compat.ts';
import { decideEnablement, entrySettings, type PluginsConfig } from './enablement.ts';
import { finding } from './finding.ts';
import { isObject, type Json } from './json.ts';
import { chooseSlot, slotOwner } from './slot-choice.ts';
import { type ConfigValidator, createConfigValidator } from './validator.ts';

/** The part of the configuration that a plan depends on. */
export interface PlanConfig {
  plugins?: PluginsConfig | undefined;
  channels?: Readonly<Record<string, unknown>> | undefined;
  models?: { readonly providers?: Readonly<Record<string, unknown>> | undefined } | undefined;
  auth?: { readonly profiles?: Readonly<Record<string, unknown>> | undefined } | undefined;
}

export interface PlanOptions {
  config: PlanConfig;
  catalog: Catalog;
  hostVersion: string;
  /** Pass one to keep compiled schemas between plans. */
  validator?: ConfigValidator;
}

const SLOT_NAMES = Object.keys(SLOTS) as SlotName[];
/** Keys of `channels` that configure all of them. */
const SHARED_CHANNEL_KEYS: readonly string[] = ['defaults', 'modelByChannel'];
/** Contributions that act without being asked for by name, so their owner must be running. */
const UNASKED: readonly ContributionKind[] = ['service', 'httpRoute', 'eventHook', 'interactiveHandler', 'memoryEmbeddingProvider'];

/**
 * What a generation is built from: who is on and why, what serves each slot, who owns which contribution, when each is loaded. A function of
 * its arguments: it reads no file and runs no extension. Nothing wrong with an extension throws; it becomes a finding, and its slot fails.
 */
export function createPlan({ config, catalog, hostVersion, validator = createConfigValidator() }: PlanOptions): Plan {
  const plugins = config.plugins ?? {};
  const entries = [...catalog.entries.values()];
  const findings: Finding[] = [...catalog.findings];
  const channels: Record<string, unknown> = { ...config.channels };

  const selected = new Map<string, SlotName>();
  const settings = SLOT_NAMES.map((slot) => {
    const key = plugins.slots?.[slot] ?? SLOTS[slot].fallback;
    const owner = slotOwner(slot, key, entries);
    if (owner !== undefined) selected.set(owner.id, selected.get(owner.id) ?? slot);
    return { slot, key, owner };
  });

  const extensions = new Map<string, PlannedExtension>();
  for (const entry of entries) extensions.set(entry.id, planExtension(entry));
  const engine = plugins.slots?.contextEngine ?? SLOTS.contextEngine.fallback;
  const slots = Object.fromEntries(
    settings.map(({ slot, key, owner }) => [slot, chooseSlot(slot, key, extensions.get(owner?.id ?? ''), catalog, engine)]),
  ) as Record<SlotName, SlotChoice>;
  for (const choice of Object.values(slots)) {
    if ('failed' in choice) findings.push(choice.failed);
    else if ('none' in choice && choice.key !== 'none') findings.push(finding('info', 'DUR_SLOT_EMPTY', choice, { pointer: `/plugins/slots/${choice.slot}` }));
  }
  findings.push(...unknownIds(config, catalog));
  return { extensions, owners: ownersOf(extensions, findings), slots, channels, findings };

  function planExtension(entry: CatalogEntry): PlannedExtension {
    const slot = selected.get(entry.id);
    const written = entrySettings(entry, plugins)?.config;
    const { enabled, reason } = decideEnablement({ entry, plugins, slot, use: useOf(entry, config) });
    if (!enabled) return { entry, enabled, reason, load: 'demand', config: asObject(written) };
    const checked = validator.check(entry, written);
    const checks = [checked];
    for (const id of Object.keys(entry.manifest.channelConfigs ?? {}).filter((each) => isOn(channels, each))) {
      const block = validator.check(entry, channels[id], id);
      if ('config' in block) channels[id] = block.config;
      checks.push(block);
    }
    const faults = [...checkHost(entry, hostVersion), ...checks.flatMap((each) => ('failed' in each ? [each.failed] : []))];
    findings.push(...faults);
    const blocked = faults.find((each) => each.level === 'error');
    const planned = { entry, enabled, reason, load: loadTime(entry, slot), config: 'config' in checked ? checked.config : asObject(written) };
    return blocked === undefined ? planned : { ...planned, blocked };
  }
}

function loadTime(entry: CatalogEntry, slot: SlotName | undefined): LoadTime {
  if (slot !== undefined) return SLOTS[slot].aside ? 'settle' : 'activation';
  if (entry.entry === undefined) return 'demand';
  const unasked = !entry.declared || entry.manifest.kind !== undefined || entry.taps.length > 0 || UNASKED.some((kind) => entry.declares[kind] !== undefined);
  return unasked ? 'settle' : 'demand';
}

/** What switches a bundled extension on without its name: a configured channel or provider of its own. */
function useOf({ declares, manifest }: CatalogEntry, config: PlanConfig): string | undefined {
  const channel = declares.channel?.find((id) => isOn(config.channels, id));
  if (channel !== undefined) return `channels.${channel}`;
  const ids = [...(declares.provider ?? []), ...(manifest.autoEnableWhenConfiguredProviders ?? [])];
  const provider = ids.find((id) => own(config.models?.providers, id) !== undefined);
  if (provider !== undefined) return `models.providers.${provider}`;
  const profiles = Object.values(config.auth?.profiles ?? {}).map((profile) => asObject(profile).provider);
  const signedIn = ids.find((id) => profiles.includes(id));
  return signedIn === undefined ? undefined : `auth.profiles of ${signedIn}`;
}

function isOn(channels: PlanConfig['channels'], id: string): boolean {
  const block = own(channels, id);
  return isObject(block) && block.enabled !== false;
}

/** Enabled owners by `kind:key`, sound ones first, else in catalogue order. A second sound owner of one key is a finding; the first is asked. */
function ownersOf(extensions: ReadonlyMap<string, PlannedExtension>, findings: Finding[]): Map<string, string[]> {
  const owners = new Map<string, string[]>();
  const enabled = [...extensions.values()].filter((each) => each.enabled);
  for (const { entry, blocked } of [...enabled.filter((each) => each.blocked === undefined), ...enabled.filter((each) => each.blocked !== undefined)]) {
    for (const [kind, keys] of Object.entries(entry.declares) as Array<[ContributionKind, string[]]>) {
      for (const key of keys) {
        const present = owners.get(`${kind}:${key}`) ?? [];
        owners.set(`${kind}:${key}`, [...present, entry.id]);
        const { form, noun } = CONTRIBUTION_ROWS[kind];
        if (present.length === 0 || blocked !== undefined || form === 'single') continue;
        const values = { kind: noun, key, id: entry.id, other: present[0] };
        findings.push(finding('warn', 'DUR_EXT_DUPLICATE', values, { extension: entry.id, file: entry.manifestFile }));
      }
    }
  }
  return owners;
}

/** Ids in `plugins.*` and keys of `channels` that no manifest owns. */
function unknownIds({ plugins = {}, channels = {} }: PlanConfig, catalog: Catalog): Finding[] {
  const ids = new Set(catalog.broken.keys());
  const channelIds = new Set(SHARED_CHANNEL_KEYS);
  for (const { id, manifest, declares } of catalog.entries.values()) {
    for (const name of [id, ...(manifest.legacyPluginIds ?? [])]) ids.add(name);
    for (const channel of [...(declares.channel ?? []), ...Object.keys(manifest.channelConfigs ?? {})]) channelIds.add(channel);
  }
  const lists = Object.entries({ allow: plugins.allow, deny: plugins.deny });
  const named = [
    ...Object.keys(plugins.entries ?? {}).map((id) => ({ id, path: `plugins.entries.${id}`, pointer: `/plugins/entries/${id}` })),
    ...lists.flatMap(([list, names = []]) => names.map((id, place) => ({ id, path: `plugins.${list}[${place}]`, pointer: `/plugins/${list}/${place}` }))),
  ];
  const strange = Object.keys(channels).filter((id) => !channelIds.has(id) && !ids.has(id));
  return [
    ...named.filter(({ id }) => !ids.has(id)).map((at) => finding('error', 'DUR_CONFIG_PLUGIN_UNKNOWN', at, { extension: at.id, pointer: at.pointer })),
    ...strange.map((id) => finding('error', 'DUR_CONFIG_CHANNEL_UNKNOWN', { id, path: `channels.${id}` }, { extension: id, pointer: `/channels/${id}` })),
  ];
}

function own(holder: Readonly<Record<string, unknown>> | undefined, key: string): unknown {
  return holder !== undefined && Object.hasOwn(holder, key) ? holder[key] : undefined;
}

function asObject(value: unknown): Json {
  return isObject(value) ? value : {};
}
