import type { SecretRef } from '../../sdk/index.ts';
import { formatPath, getAt, isRecord, type Segment } from '../config/config-path.ts';
import { templateNames } from '../config/env.ts';
import type { SecretFields } from './fields.ts';
import { isPlain, isStructure, plainTexts } from './plain-texts.ts';
import { PROFILE_TYPES, type ProfileType, targetType } from './plan.ts';
import { isSecretRef } from './ref.ts';
import type { AgentFiles } from './stored-files.ts';

/** A field that can get a reference, and what stands there. */
export interface FieldChoice {
  /** As a plan names it. */
  type: string;
  path: readonly Segment[];
  /** For people. */
  label: string;
  /** The model provider that it belongs to. */
  provider?: string;
  /** Of whose stored credentials. */
  agentId?: string;
  state: 'plain' | 'reference' | 'empty';
  /** The secret that stands there. */
  value?: string;
  ref?: SecretRef;
}

const ORDER = ['plain', 'reference', 'empty'];

/** The fields of the configuration that take a reference: those with a secret in plain text first, then references, then what could be set. */
export function configChoices(source: object, fields: SecretFields): FieldChoice[] {
  const paths = new Map<string, readonly Segment[]>();
  const add = (path: readonly Segment[]) => paths.set(formatPath(path), path);
  for (const { path } of plainTexts(source, fields)) add(path);
  for (const path of referencePaths(source)) add(path);
  for (const { segments, takesRef } of fields.surface()) if (takesRef) for (const path of expand(segments, source)) add(path);
  return [...paths.values()]
    .flatMap((path): FieldChoice[] => {
      const type = targetType(path, fields);
      if (type === undefined) return [];
      const provider = path[0] === 'models' && path[1] === 'providers' ? { provider: String(path[2]) } : {};
      return [{ type, path, label: formatPath(path), ...provider, ...standing(getAt(source, path)) }];
    })
    .toSorted(byState);
}

/** The static credentials that an agent has stored. */
export function profileChoices({ id, profiles }: AgentFiles): FieldChoice[] {
  const stored = isRecord(profiles.stored?.value.profiles) ? profiles.stored.value.profiles : {};
  return Object.entries(stored)
    .flatMap(([profileId, profile]): FieldChoice[] => {
      const type = Object.entries(PROFILE_TYPES).find(([, { mode }]) => isRecord(profile) && profile.type === mode)?.[0] as ProfileType | undefined;
      if (type === undefined || !isRecord(profile)) return [];
      const { key } = PROFILE_TYPES[type];
      const value = isSecretRef(profile[`${key}Ref`]) ? profile[`${key}Ref`] : profile[key];
      return [{ ...profileChoice(id, type, profileId, String(profile.provider)), ...standing(value) }];
    })
    .toSorted(byState);
}

/** A stored credential; also one that is not there yet. */
export function profileChoice(agentId: string, type: ProfileType, profileId: string, provider: string): FieldChoice {
  const label = `credential ${profileId} of agent ${agentId}`;
  return { type, path: ['profiles', profileId, PROFILE_TYPES[type].key], label, provider, agentId, state: 'empty' };
}

function standing(value: unknown): Pick<FieldChoice, 'state' | 'value' | 'ref'> {
  if (isSecretRef(value)) return { state: 'reference', ref: value };
  if (isPlain(value)) return { state: 'plain', value };
  if (isStructure(value)) return { state: 'plain', value: JSON.stringify(value) };
  return { state: typeof value === 'string' && value !== '' ? 'reference' : 'empty' };
}

function byState(one: FieldChoice, other: FieldChoice): number {
  return ORDER.indexOf(one.state) - ORDER.indexOf(other.state);
}

/** A `*` stands for what is there; the last one of a map of names too. */
function expand(segments: readonly string[], root: unknown, done: readonly Segment[] = []): Array<readonly Segment[]> {
  const [first, ...rest] = segments;
  if (first === undefined) return [done];
  if (first !== '*') return expand(rest, root, [...done, first]);
  const holder = getAt(root, done);
  if (typeof holder !== 'object' || holder === null) return [];
  const keys = Array.isArray(holder) ? [...holder.keys()] : Object.keys(holder);
  return keys.filter((key) => rest.length === 0 || isRecord(getAt(holder, [key]))).flatMap((key) => expand(rest, root, [...done, key]));
}

function referencePaths(root: unknown, path: readonly Segment[] = []): Array<readonly Segment[]> {
  if (isSecretRef(root) || (typeof root === 'string' && templateNames(root).length > 0)) return [path];
  if (typeof root !== 'object' || root === null) return [];
  return Object.entries(root).flatMap(([key, child]) =>
    path.length === 0 && key === 'secrets' ? [] : referencePaths(child, [...path, Array.isArray(root) ? Number(key) : key]),
  );
}
