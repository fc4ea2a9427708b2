import type { SessionRecord } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import { agentEntry } from '../settings.ts';
import { execReply } from './exec-setting.ts';
import { LEVELS } from './levels.ts';
import { chosenModel, modelReply } from './model-setting.ts';
import type { Directive } from './parse.ts';
import { QUEUE_MODES, type QueueSetting } from './queue-setting.ts';
import type { Setting, SettingContext } from './setting.ts';

const NOUNS = { think: 'thinking level', fast: 'fast mode', verbose: 'verbose level', reasoning: 'reasoning level', elevated: 'elevated level' } as const;

/** What holds now for a session, by its own row and the configuration. */
export function effectiveLevels(config: Config, session: SessionRecord): Record<keyof typeof LEVELS, string> {
  const { defaults } = config.agents;
  const agent = agentEntry(config, session.agentId);
  const elevated = session.extra?.elevatedLevel;
  return {
    think: session.thinkingLevel ?? agent?.thinkingDefault ?? defaults.thinkingDefault ?? 'off',
    fast: fastModeOf(config, session) ? 'on' : 'off',
    verbose: session.verboseLevel ?? defaults.verboseDefault,
    reasoning: session.reasoningLevel ?? agent?.reasoningDefault ?? 'off',
    elevated: typeof elevated === 'string' ? elevated : defaults.elevatedDefault,
  };
}

/** Whether the provider is to hurry: the session's word, else the agent's, else the model's parameters. */
export function fastModeOf(config: Config, { extra, agentId }: Pick<SessionRecord, 'extra' | 'agentId'>, params?: { fastMode?: unknown }): boolean {
  const own = extra?.fastMode ?? agentEntry(config, agentId)?.fastModeDefault ?? params?.fastMode;
  return own === true;
}

/** Throws nothing of its own: what cannot be done is said in the answer. */
export async function settingOf(context: SettingContext, directive: Directive): Promise<Setting> {
  if (directive.name === 'queue') return queueReply(context, directive);
  if (directive.name === 'exec') return execReply(context, directive);
  if (directive.name === 'model') return modelReply(context, directive.value);
  const { name, value, unknown } = directive;
  const { config, session } = context;
  const { values } = LEVELS[name];
  if (unknown !== undefined) return { text: `Unrecognized ${NOUNS[name]} "${unknown}". Valid levels: ${values.join(', ')}.`, isError: true };
  if (value === undefined) return { text: `Current ${NOUNS[name]}: ${effectiveLevels(config, session)[name]}.\nOptions: ${values.join(', ')}.` };
  if (name === 'think') return thinkReply(context, value);
  if (name === 'fast') return { text: switchText('Fast mode', value), extra: { fastMode: value === 'on' } };
  if (name === 'verbose') return { text: switchText('Verbose logging', value), columns: { verboseLevel: value } };
  if (name === 'reasoning') return { text: switchText('Reasoning', value), columns: { reasoningLevel: value } };
  return elevatedReply(context, value);
}

async function thinkReply(context: SettingContext, value: string): Promise<Setting> {
  if (value === 'xhigh') {
    const { provider, model, reasons } = await chosenModel(context);
    if (!reasons) return { text: `Thinking level "xhigh" is not supported by ${provider}/${model}.`, isError: true };
  }
  return { text: value === 'off' ? 'Thinking disabled.' : `Thinking level set to ${value}.`, columns: { thinkingLevel: value } };
}

function switchText(subject: string, value: string): string {
  if (value === 'off') return `${subject} disabled.`;
  return value === 'on' ? `${subject} enabled.` : `${subject} set to ${value}.`;
}

/** Loosening is for those who may; everybody may tighten. */
function elevatedReply({ config, sender }: SettingContext, value: string): Setting {
  if (value !== 'off') {
    if (config.tools.elevated?.enabled === false) return { text: 'Elevated commands are not available: `tools.elevated.enabled` is off.', isError: true };
    if (!sender.isAdmin)
      return { text: 'Not allowed: elevated commands need the scope operator.admin, or a place in `tools.elevated.allowFrom`.', isError: true };
  }
  return { text: value === 'off' ? 'Elevated mode disabled.' : `Elevated mode set to ${value}.`, extra: { elevatedLevel: value } };
}

/** The queue settings of a session, its own before those of the configuration. */
export function effectiveQueue(
  { messages }: Config,
  { extra, lastChannel }: Pick<SessionRecord, 'extra' | 'lastChannel'>,
  channel = lastChannel,
): Required<Omit<QueueSetting, 'clear'>> {
  const { mode, debounceMs, cap, drop, byChannel } = messages.queue;
  const own = extra as { queueMode?: typeof mode; queueDebounceMs?: number; queueCap?: number; queueDrop?: typeof drop } | undefined;
  return {
    mode: own?.queueMode ?? (channel === undefined ? undefined : byChannel?.[channel]) ?? mode,
    debounceMs: own?.queueDebounceMs ?? debounceMs,
    cap: own?.queueCap ?? cap,
    drop: own?.queueDrop ?? drop,
  };
}

const QUEUE_OPTIONS = 'debounce:<ms|s|m>, cap:<n>, drop:old|new|summarize';

function queueReply({ config, session }: SettingContext, { value, unknown }: Extract<Directive, { name: 'queue' }>): Setting {
  if (unknown?.includes(':')) return { text: `Unrecognized queue option "${unknown}". Valid options: ${QUEUE_OPTIONS}.`, isError: true };
  if (unknown !== undefined) return { text: `Unrecognized queue mode "${unknown}". Valid modes: ${QUEUE_MODES.join(', ')}.`, isError: true };
  if (value === undefined) {
    const { mode, debounceMs, cap, drop } = effectiveQueue(config, session);
    return {
      text: `Current queue settings: mode=${mode}, debounce=${debounceMs}ms, cap=${cap}, drop=${drop}.\nOptions: modes ${QUEUE_MODES.join(', ')}; ${QUEUE_OPTIONS}.`,
    };
  }
  if (value.clear) {
    return { text: 'Queue mode reset to default.', extra: { queueMode: undefined, queueDebounceMs: undefined, queueCap: undefined, queueDrop: undefined } };
  }
  const { mode, debounceMs, cap, drop } = value;
  const said = [
    ...(mode === undefined ? [] : [`Queue mode set to ${mode}.`]),
    ...(debounceMs === undefined ? [] : [`Queue debounce set to ${debounceMs}ms.`]),
    ...(cap === undefined ? [] : [`Queue cap set to ${cap}.`]),
    ...(drop === undefined ? [] : [`Queue drop set to ${drop}.`]),
  ];
  return {
    text: said.join(' '),
    extra: {
      ...(mode === undefined ? {} : { queueMode: mode }),
      ...(debounceMs === undefined ? {} : { queueDebounceMs: debounceMs }),
      ...(cap === undefined ? {} : { queueCap: cap }),
      ...(drop === undefined ? {} : { queueDrop: drop }),
    },
  };
}

/** The row's `extra` with a setting's keys in it; `null`: nothing is left. */
export function mergedExtra(present: Record<string, unknown> | undefined, change: Record<string, unknown>): Record<string, unknown> | null {
  const merged = Object.fromEntries(Object.entries({ ...present, ...change }).filter(([, value]) => value !== undefined));
  return Object.keys(merged).length === 0 ? null : merged;
}
