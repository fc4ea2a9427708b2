import { durarError } from '../../sdk/index.ts';
import { formatPath, getAt, isRecord, type Segment } from '../config/config-path.ts';
import { setIn, unsetIn } from '../config/edit.ts';
import { parseText } from '../config/parse.ts';
import type { FileChange } from './commit.ts';
import { isPlain, isStructure } from './plain-texts.ts';
import { isProfileType, type PlanTarget, PROFILE_TYPES, type SecretsPlan } from './plan.ts';
import { type AgentFiles, isBelow, type SecretFiles } from './stored-files.ts';

/** The new texts of the files, beside the present ones. Nothing is written here. */
export interface Draft {
  /** The text as it will be; undefined: the file will not be there. */
  text(file: string): string | undefined;
  /** The content of a JSON file that the draft knows, as it will be. */
  json(file: string): Record<string, unknown> | undefined;
  set(file: string, text: string | undefined): void;
  setJson(file: string, value: Record<string, unknown>): void;
  /** What differs, in the order in which it is to be written: a text that a later one relies on comes first. */
  changes(): FileChange[];
}

export interface Move {
  draft: Draft;
  /** The secrets that stood where references stand now. */
  values: Set<string>;
  /** Model providers whose key in the configuration is one of them; it serves every agent. */
  providers: Set<string>;
  /** The agents' files; with those of agents that had none. */
  agents: AgentFiles[];
}

/** Writes the providers and references of a plan into a draft. Throws `DUR_SECRETS_PLAN*` for a target that does not fit what is stored. */
export function moveTargets(plan: SecretsPlan, files: SecretFiles, readAgent: (id: string) => AgentFiles): Move {
  const draft = createDraft(files);
  const move: Move = { draft, values: new Set(), providers: new Set(), agents: [...files.agents] };
  for (const [alias, block] of Object.entries(plan.providerUpserts)) setConfig(files, draft, ['secrets', 'providers', alias], block);
  for (const target of plan.targets) {
    if (isProfileType(target.type)) moveProfile(target, move, readAgent);
    else moveField(target, files, move);
  }
  for (const alias of plan.providerDeletes) unsetConfig(files, draft, ['secrets', 'providers', alias]);
  return move;
}

function createDraft(files: SecretFiles): Draft {
  const before = new Map<string, string>();
  const stored = files.agents.flatMap(({ profiles, legacy, models }) => [profiles.stored, legacy, models].filter((each) => each !== undefined));
  for (const { file, text } of [...files.config, ...stored, ...files.env, ...files.backups]) before.set(file, text);
  const [main] = files.config;
  if (main?.exists === false) before.delete(main.file);
  const after = new Map<string, string | undefined>();
  const text = (file: string) => (after.has(file) ? after.get(file) : before.get(file));
  return {
    text,
    json(file) {
      const content = text(file);
      return content === undefined ? undefined : (JSON.parse(content) as Record<string, unknown>);
    },
    set: (file, content) => void after.set(file, content),
    setJson: (file, value) => void after.set(file, `${JSON.stringify(value, null, 2)}\n`),
    changes: () =>
      [...after].flatMap(([file, content]) => {
        const old = before.get(file);
        return old === content ? [] : [{ file, ...(old === undefined ? {} : { before: old }), ...(content === undefined ? {} : { after: content }) }];
      }),
  };
}

/** In every file that has the value: what another hides today may count tomorrow. */
function setConfig(files: SecretFiles, draft: Draft, path: readonly Segment[], value: unknown): void {
  const holders = holdersOf(files, path);
  for (const { file, at, value: content } of holders.length > 0 ? holders : files.config.slice(0, 1)) {
    draft.set(file, setIn(draft.text(file) ?? '', fitPath(content, path.slice(at.length)), value));
  }
}

/** Steps into a list are numbers, all others names. */
function fitPath(root: unknown, path: readonly Segment[]): Segment[] {
  return path.map((segment, at) => (Array.isArray(getAt(root, path.slice(0, at))) && /^\d+$/.test(String(segment)) ? Number(segment) : String(segment)));
}

function unsetConfig(files: SecretFiles, draft: Draft, path: readonly Segment[]): void {
  for (const { file, at } of holdersOf(files, path)) draft.set(file, unsetIn(draft.text(file) ?? '', path.slice(at.length).map(String)));
}

function holdersOf(files: SecretFiles, path: readonly Segment[]) {
  return files.config.filter(({ value, at }) => isBelow(path, at) && getAt(value, path.slice(at.length)) !== undefined);
}

function moveField({ path, ref }: PlanTarget, files: SecretFiles, { draft, values, providers }: Move): void {
  const last = String(path.at(-1));
  const replaced = last.endsWith('Ref') ? [...path.slice(0, -1), last.slice(0, -'Ref'.length)] : undefined;
  for (const place of replaced === undefined ? [path] : [path, replaced]) {
    for (const { value, at } of holdersOf(files, place)) for (const text of texts(getAt(value, place.slice(at.length)))) values.add(text);
  }
  setConfig(files, draft, path, ref);
  if (replaced !== undefined) unsetConfig(files, draft, replaced);
  if (path[0] === 'models' && path[1] === 'providers') providers.add(String(path[2]));
}

function moveProfile(target: PlanTarget, { draft, values, agents }: Move, readAgent: (id: string) => AgentFiles): void {
  const { type, path, agentId = '', authProfileProvider, ref } = target;
  if (!isProfileType(type)) return;
  const { mode, key } = PROFILE_TYPES[type];
  let agent = agents.find(({ id }) => id === agentId);
  if (agent === undefined) {
    agent = readAgent(agentId);
    agents.push(agent);
  }
  const { file } = agent.profiles;
  const store = draft.json(file) ?? { version: 1, profiles: {} };
  const profiles = isRecord(store.profiles) ? store.profiles : {};
  const profileId = String(path[1]);
  const present = Object.hasOwn(profiles, profileId) ? profiles[profileId] : undefined;
  const refuse = (reason: string) => durarError('DUR_SECRETS_PLAN', { reason: `the target '${formatPath(path)}' of agent '${agentId}' ${reason}` });
  if (present === undefined && authProfileProvider === undefined) throw refuse('is a new profile and has no authProfileProvider');
  if (present !== undefined && (!isRecord(present) || present.type !== mode)) throw refuse(`is not of the type ${mode}`);
  if (isRecord(present) && authProfileProvider !== undefined && present.provider !== authProfileProvider)
    throw refuse(`belongs to '${String(present.provider)}'`);
  const { [key]: old, ...rest }: Record<string, unknown> = isRecord(present) ? present : { type: mode, provider: authProfileProvider };
  if (isPlain(old)) values.add(old);
  draft.setJson(file, { ...store, profiles: { ...profiles, [profileId]: { ...rest, [`${key}Ref`]: ref } } });
}

function texts(value: unknown): string[] {
  if (isPlain(value)) return [value];
  return isStructure(value) ? Object.values(value).flatMap(texts) : [];
}

/** The same in an older text of the configuration. A text that does not parse, or keeps a moved secret, is given up. */
export async function moveInBackup(text: string, plan: SecretsPlan, values: ReadonlySet<string>): Promise<string | undefined> {
  let result = text;
  try {
    const value = await parseText(text, '');
    const fields = plan.targets.filter(({ type, path }) => !isProfileType(type) && texts(getAt(value, path)).length > 0);
    for (const { path, ref } of fields) result = setIn(result, fitPath(value, path), ref);
    if (fields.length > 0) for (const [alias, block] of Object.entries(plan.providerUpserts)) result = setIn(result, ['secrets', 'providers', alias], block);
  } catch (error) {
    if (!String((error as { code?: unknown }).code).startsWith('DUR_CONFIG_')) throw error;
  }
  return holdsAny(result, values) ? undefined : result;
}

/** Too short to be found in a text by chance. */
const MIN_LENGTH = 6;

/** Whether a text holds one of the secrets, as it is or as JSON writes it. */
export function holdsAny(text: string, values: ReadonlySet<string>): boolean {
  return [...values].some((value) => value.length >= MIN_LENGTH && (text.includes(value) || text.includes(JSON.stringify(value).slice(1, -1))));
}
