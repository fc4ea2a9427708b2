import { errorCode, type ModelEntry, type SessionRecord } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import type { Setting, SettingContext } from './setting.ts';

/** A longer list says nothing to a reader of a chat. */
const MAX_LISTED = 50;

/** `ref@profile` in its parts. The profile stands behind the last slash. */
export function splitProfile(given: string): { ref: string; profile?: string } {
  const at = given.lastIndexOf('@');
  if (at <= 0 || at < given.lastIndexOf('/') || at === given.length - 1) return { ref: given };
  return { ref: given.slice(0, at), profile: given.slice(at + 1) };
}

/** Answers `/model`: shows, lists, chooses or goes back to the agent's own. */
export async function modelReply(context: SettingContext, value: string | undefined): Promise<Setting> {
  const { config, models, session } = context;
  const { agentId } = session;
  const word = value?.toLowerCase();
  if (word === undefined || word === 'status')
    return { text: `${modelLine(await chosenModel(context), session)}\nUse /model list to list models, /model <ref> to choose one.` };
  if (word === 'list') return { text: listText(await choosable(config, models)) };
  if (word === 'default' || word === 'reset') {
    const { provider, model } = await models.choose({ agentId });
    return { text: `Model reset to default (${provider}/${model}).`, columns: { modelOverride: null }, extra: profileFields(undefined) };
  }
  const { ref, profile } = splitProfile(value ?? '');
  const wanted = /^#?\d+$/.test(ref) ? refAt(await choosable(config, models), Number(ref.replace('#', ''))) : ref;
  if (wanted === undefined) return { text: `There is no model ${ref} in the list. Use /model list to list available models.`, isError: true };
  try {
    const { provider, model } = await models.choose({ agentId, ref: wanted, profile });
    const chosen = `${provider}/${model}`;
    return {
      text: `Model set to ${chosen}${profile === undefined ? '' : ` with the profile ${profile}`}.`,
      columns: { modelOverride: chosen },
      extra: profileFields(profile),
    };
  } catch (error) {
    const text = refusalOf(error, wanted);
    if (text === undefined) throw error;
    return { text, isError: true };
  }
}

/** The model that the session's next run asks for. */
export async function chosenModel({ models, session }: Pick<SettingContext, 'models' | 'session'>): ReturnType<SettingContext['models']['choose']> {
  const { agentId, modelOverride } = session;
  return models.choose({ agentId, ...(modelOverride === undefined ? {} : { override: modelOverride }) });
}

/** Which model, and who chose it. */
export function modelLine({ provider, model }: { provider: string; model: string }, { modelOverride, extra }: SessionRecord): string {
  const profile = extra?.authProfileOverride;
  const from = modelOverride === undefined ? 'default' : 'chosen for this session';
  return `Model: ${provider}/${model} (${from}${typeof profile === 'string' ? `, profile ${profile}` : ''})`;
}

/** Those that the configuration allows, in the order of their refs. */
async function choosable(config: Config, models: SettingContext['models']): Promise<string[]> {
  const allowed = config.agents.defaults.models;
  const known = (await models.list()).map(({ provider, id }: ModelEntry) => `${provider}/${id}`).sort();
  if (allowed === undefined) return known;
  const keys = new Set(Object.keys(allowed).map((key) => key.toLowerCase()));
  const own = models.defaults();
  return known.filter((ref) => keys.has(ref.toLowerCase()) || ref === `${own.provider}/${own.model}`);
}

function refAt(refs: readonly string[], number: number): string | undefined {
  return refs[number - 1];
}

function listText(refs: readonly string[]): string {
  if (refs.length === 0) return 'No model can be chosen.';
  const lines = refs.slice(0, MAX_LISTED).map((ref, index) => `${index + 1}. ${ref}`);
  const rest = refs.length - lines.length;
  return ['Models:', ...lines, ...(rest > 0 ? [`… (+${rest} more)`] : []), 'Choose one with /model <ref> or /model <number>.'].join('\n');
}

function profileFields(profile: string | undefined): Record<string, unknown> {
  return { authProfileOverride: profile, authProfileOverrideSource: profile === undefined ? undefined : 'user' };
}

/** What the models say about a ref that cannot be chosen; undefined: the error is about something else. */
export function refusalOf(error: unknown, ref: string): string | undefined {
  const code = errorCode(error);
  if (code === 'DUR_MODEL_NOT_ALLOWED') return `Model "${ref}" is not allowed. Use /model to list available models.`;
  if (code === 'DUR_MODEL_UNKNOWN') return `Model "${ref}" is not known. Use /model list to list available models.`;
  if (error instanceof Error && code?.startsWith('DUR_AUTH_PROFILE_')) return `${upperFirst(error.message)}. The model is as it was.`;
  return undefined;
}

function upperFirst(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
