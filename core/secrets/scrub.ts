import { getAt, isRecord } from '../config/config-path.ts';
import { templateNames } from '../config/env.ts';
import { holdsAny, type Move, moveInBackup } from './move.ts';
import { catalogueTexts, envLines, profileTexts } from './plain-texts.ts';
import type { SecretsPlan } from './plan.ts';
import { isSecretRef } from './ref.ts';
import { isSecretVariable, MANAGED } from './secret-names.ts';
import { type SecretFiles, staticEntry } from './stored-files.ts';

export interface ScrubOptions {
  plan: SecretsPlan;
  files: SecretFiles;
  move: Move;
  /** The configuration as it will be, and what its references say now. */
  config: object;
  /** Variables that hold a credential, as the installed providers say. */
  variables: ReadonlySet<string>;
  /** Every text that stands for a moved secret: the old ones, and what the new references resolve to. */
  values: ReadonlySet<string>;
}

/** A value of this length is nobody's setting by chance. */
const TELLING_LENGTH = 12;

/** Takes the copies of the moved secrets out of the draft's files. Returns what an operator should know. */
export async function scrubCopies(options: ScrubOptions): Promise<string[]> {
  const { plan, files, move, values } = options;
  const { draft } = move;
  const warnings: string[] = [];
  if (plan.options.scrubAuthProfilesForProviderTargets) warnings.push(...scrubProfiles(options));
  if (plan.options.scrubLegacyAuthJson) warnings.push(...scrubLegacy(options));
  for (const { models } of files.agents) {
    const copies = models === undefined ? [] : catalogueTexts(models.value).filter(({ value }) => values.has(value));
    if (models === undefined || copies.length === 0) continue;
    const next = structuredClone(models.value);
    for (const { path } of copies) {
      const holder = getAt(next, path.slice(0, -1));
      if (isRecord(holder)) holder[String(path.at(-1))] = MANAGED;
    }
    draft.setJson(models.file, next);
  }
  if (plan.options.scrubEnv) scrubEnvironment(options);
  for (const { file, text } of files.backups) draft.set(file, await moveInBackup(text, plan, values));
  const rest = [...files.config, ...files.env].filter(({ file }) => holdsAny(draft.text(file) ?? '', move.values));
  for (const { file } of rest) warnings.push(`${file} still holds a moved secret at another place, such as another field, a variable or a comment`);
  return warnings;
}

function scrubProfiles({ move: { draft, providers, agents }, values }: ScrubOptions): string[] {
  const warnings: string[] = [];
  for (const { id, profiles } of agents) {
    const store = draft.json(profiles.file);
    if (store === undefined) continue;
    const gone = new Set<string>();
    const next = structuredClone(store);
    for (const { profileId, provider, path, value } of profileTexts(store).filter((each) => providers.has(each.provider))) {
      if (!values.has(value)) {
        warnings.push(`the credential '${profileId}' of agent '${id}' is another secret of '${provider}' and stays; it wins over the reference`);
        continue;
      }
      const profile = getAt(next, path.slice(0, -1));
      if (!isRecord(profile)) continue;
      delete profile[String(path.at(-1))];
      if (!['key', 'keyRef', 'token', 'tokenRef'].some((key) => profile[key] !== undefined)) gone.add(profileId);
    }
    for (const profileId of gone) forget(next, profileId);
    if (JSON.stringify(next) !== JSON.stringify(store)) draft.setJson(profiles.file, next);
  }
  return warnings;
}

/** Removes a profile with what is kept about it. */
function forget(store: Record<string, unknown>, profileId: string): void {
  for (const key of ['profiles', 'usageStats']) if (isRecord(store[key])) delete store[key][profileId];
  const { order, lastGood } = store;
  if (isRecord(order)) for (const [provider, ids] of Object.entries(order)) if (Array.isArray(ids)) order[provider] = ids.filter((id) => id !== profileId);
  if (isRecord(lastGood)) for (const [provider, id] of Object.entries(lastGood)) if (id === profileId) delete lastGood[provider];
}

/**
 * A static key of a provider that has none among the stored credentials goes there first, as at the start of a gateway: it may be the only copy.
 * Sign-ins stay.
 */
function scrubLegacy({ move: { draft, providers, agents }, values }: ScrubOptions): string[] {
  const warnings: string[] = [];
  for (const { id, legacy, profiles } of agents) {
    const found = Object.entries(legacy?.value ?? {}).flatMap(([name, entry]) => staticEntry(name, entry) ?? []);
    if (legacy === undefined || found.length === 0) continue;
    const store: Record<string, unknown> = draft.json(profiles.file) ?? { version: 1, profiles: {} };
    const before = Object.values(isRecord(profiles.stored?.value.profiles) ? profiles.stored.value.profiles : {});
    const stored: Record<string, unknown> = isRecord(store.profiles) ? { ...store.profiles } : {};
    const has = (provider: string) =>
      [...before, ...Object.values(stored)].some((each) => isRecord(each) && each.type === 'api_key' && each.provider === provider);
    let imported = 0;
    for (const { profileId, provider, key, keyRef } of found) {
      const isCopy = key !== undefined && values.has(key) && providers.has(provider);
      if ((key ?? keyRef) === undefined || isCopy || has(provider) || Object.hasOwn(stored, profileId)) continue;
      stored[profileId] = { type: 'api_key', provider, ...(key === undefined ? {} : { key }), ...(keyRef === undefined ? {} : { keyRef }) };
      imported += 1;
      warnings.push(`the static key of '${provider}' of agent '${id}' was only in auth.json; it is the credential '${profileId}' now`);
    }
    if (imported > 0) draft.setJson(profiles.file, { ...store, profiles: stored });
    const rest = Object.entries(legacy.value).filter(([name]) => !found.some((each) => each.name === name));
    if (rest.length === 0) draft.set(legacy.file, undefined);
    else draft.setJson(legacy.file, Object.fromEntries(rest));
  }
  return warnings;
}

/** Takes out the lines that set a moved secret. A variable that a reference or a template reads is the source and stays. */
function scrubEnvironment({ files, move, config, variables, values }: ScrubOptions): void {
  const read = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value === 'string') for (const name of templateNames(value)) read.add(name);
    else if (isSecretRef(value)) void (value.source === 'env' && read.add(value.id));
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  visit(config);
  for (const { profiles } of move.agents) visit(move.draft.json(profiles.file));
  for (const { file, text } of files.env) {
    const kept = envLines(text).filter(({ name, value = '' }) => {
      if (name === undefined || value === '' || read.has(name) || !values.has(value)) return true;
      return !(variables.has(name) || isSecretVariable(name) || value.length >= TELLING_LENGTH);
    });
    move.draft.set(file, kept.map((line) => line.text).join(''));
  }
}
