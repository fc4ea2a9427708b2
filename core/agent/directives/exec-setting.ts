import type { Setting, SettingContext } from './setting.ts';

/** What `/exec` asks for. `clear`: back to what the configuration says. */
export interface ExecSetting {
  clear?: true;
  host?: string;
  security?: string;
  ask?: string;
  node?: string;
}

type Field = Exclude<keyof ExecSetting, 'clear'>;

/** The keys of a session that the exec tool reads; a field without a list takes any word. */
const FIELDS: Readonly<Record<Field, { key: string; values?: readonly string[] }>> = {
  host: { key: 'execHost', values: ['auto', 'sandbox', 'gateway', 'node'] },
  security: { key: 'execSecurity', values: ['deny', 'allowlist', 'full'] },
  ask: { key: 'execAsk', values: ['off', 'on-miss', 'always'] },
  node: { key: 'execNode' },
};
const NAMES = Object.keys(FIELDS) as Field[];

/** The setting that the text begins with and how much of the text it is; undefined: it begins with none. */
export function readExecSetting(text: string): { value: ExecSetting; length: number } | undefined {
  const value: ExecSetting = {};
  let length = 0;
  for (const { 0: word, index } of text.matchAll(/\S+/g)) {
    if (value.clear === true || text.slice(length, index).trim() !== '' || !readWord(value, word)) break;
    length = index + word.length;
  }
  return length === 0 ? undefined : { value, length };
}

/** False: the word says nothing about commands, or something a second time. */
function readWord(value: ExecSetting, word: string): boolean {
  if (/^(default|reset)$/i.test(word) && Object.keys(value).length === 0) {
    value.clear = true;
    return true;
  }
  const [, name = '', given = ''] = /^([a-z]+)=(\S+)$/i.exec(word) ?? [];
  const field = NAMES.find((each) => each === name.toLowerCase());
  if (field === undefined || value[field] !== undefined) return false;
  const { values } = FIELDS[field];
  const known = values === undefined ? given : values.find((each) => each === given.toLowerCase());
  if (known === undefined) return false;
  value[field] = known;
  return true;
}

/** How the session's commands are run: shown to everybody, changed by those who may loosen what guards the host. */
export function execReply({ config, session, sender }: SettingContext, { value, unknown }: { value?: ExecSetting; unknown?: string }): Setting {
  if (unknown !== undefined) return { text: `Unrecognized exec setting "${unknown}". ${options()}`, isError: true };
  if (value === undefined) {
    const { host = 'auto', security = 'allowlist', ask = 'on-miss', node } = config.tools.exec as Partial<Record<Field, string>>;
    const configured: Partial<Record<Field, string | undefined>> = { host, security, ask, node };
    const now = NAMES.flatMap((name) => {
      const own = session.extra?.[FIELDS[name].key];
      const holds = typeof own === 'string' ? own : configured[name];
      return holds === undefined ? [] : [`${name}=${holds}${typeof own === 'string' ? '' : ' (configured)'}`];
    });
    return { text: `Current exec settings: ${now.join(', ')}.\n${options()}` };
  }
  if (!sender.isAdmin) return { text: 'Not allowed: exec settings need the scope operator.admin, or a place in `tools.elevated.allowFrom`.', isError: true };
  if (value.clear) return { text: 'Exec settings reset to default.', extra: Object.fromEntries(NAMES.map((name) => [FIELDS[name].key, undefined])) };
  const set = NAMES.filter((name) => value[name] !== undefined);
  return {
    text: `Exec settings: ${set.map((name) => `${name}=${value[name]}`).join(', ')}.`,
    extra: Object.fromEntries(set.map((name) => [FIELDS[name].key, value[name]])),
  };
}

function options(): string {
  return `Options: ${NAMES.map((name) => `${name}=${FIELDS[name].values?.join('|') ?? '<name>'}`).join(' ')}, default.`;
}
