import { isDeepStrictEqual } from 'node:util';
import { connectionPart } from '../../../sdk/channel-fields.ts';
import { durarError } from '../../../sdk/errors.ts';
import type { ChannelSetupAdapter } from '../../../sdk/index.ts';
import { getAt, isForbiddenKey, isRecord } from '../../config/config-path.ts';
import { patchIn } from '../../config/edit.ts';
import { parseText } from '../../config/parse.ts';
import { channelOf } from '../channel-options.ts';
import type { Action, CommandContext } from '../command.ts';
import { changeConfig } from '../config/config-change.ts';
import { openLocalChannels } from '../local-channels.ts';
import { printApplied } from '../reload.ts';
import { readSecret } from '../secrets/secret-input.ts';

type Block = Record<string, unknown>;
type Field = ChannelSetupAdapter['fields'][number];

interface Options {
  account?: string;
  name?: string;
  set?: string[];
  secretEnv?: string[];
  tokenEnv?: string;
  useEnv?: true;
}

const DEFAULT_ACCOUNT = 'default';
/** Keys that stay with the channel when its values become those of one account. */
const OF_CHANNEL = new Set(['enabled', 'accounts', 'defaultAccount', 'name']);

/** `durar channels add <channel>`: asks for what the channel needs, or takes it from the flags, and writes it into the configuration. */
export const channelsAdd: Action = async (context) => {
  const { output, options } = context;
  const id = channelOf(context);
  const account = accountName((options as Options).account);
  const local = await openLocalChannels(context);
  let block: Block;
  try {
    const { setup } = await local.channel(id);
    if (setup === undefined) throw durarError('DUR_CHANNEL_NO_SETUP', { channel: id });
    block = await askBlock(context, id, setup);
  } finally {
    await local.close();
  }
  const { name } = options as Options;
  if (name !== undefined) block.name = name;
  const done = await changeConfig(context, async (text) => patchIn(text, patchFor(await channelIn(text, context, id), account, block), ['channels', id]));
  const { candidate: _candidate, ...change } = done;
  output.result({ ok: true, channel: id, accountId: account ?? DEFAULT_ACCOUNT, ...change }, () => {
    output.line(`${output.paint.success('✓')} ${id}${account === undefined ? '' : `/${account}`} is ${done.changed ? 'set up' : 'set up like that already'}.`);
    if (done.applied !== undefined) printApplied(done.applied, context);
    output.note(output.paint.muted('`durar channels status --probe` tells whether the service lets it in; `durar pairing list` who wants to write to it.'));
  });
};

/** The block of an account from what the flags say, and from what is asked at a terminal. */
async function askBlock(context: CommandContext, channel: string, setup: ChannelSetupAdapter): Promise<Block> {
  const { env } = context;
  const refs = refsOf(context, channel, setup.fields);
  const input = givenOf(context.options as Options, channel, setup.fields);
  const isAsked = process.stdin.isTTY === true && refs.size === 0 && Object.keys(input).length === 0;
  if (isAsked) await askAll(context, setup.fields, input);
  else await askSecrets(setup, refs, input);
  // what stands in a variable is checked and not written; one that is not set here may be where the gateway runs
  const known = Object.fromEntries(Array.from(refs, ([key, name]) => [key, env[name] ?? '']));
  const isChecked = Object.values(known).every((value) => value !== '');
  for (const [key, name] of refs) input[key] = standIn(name);
  const reason = isChecked ? setup.validateInput?.({ ...input, ...known }) : undefined;
  const lacking = setup.fields.filter(({ key, required }) => required === true && (input[key] ?? '') === '').map(({ key }) => key);
  if (reason !== undefined || lacking.length > 0) {
    const hint = `It knows these: ${setup.fields.map(({ key, secret }) => (secret === true ? `--secret-env ${key}=NAME` : `--set ${key}=...`)).join(', ')}.`;
    throw durarError('DUR_CHANNEL_SETUP', { channel, reason: reason ?? `${lacking.join(', ')} is missing`, hint });
  }
  const named = new Map(Array.from(refs.values(), (name) => [standIn(name), { source: 'env', provider: 'default', id: name }]));
  return replaced(setup.accountConfig(input), (value) => named.get(value) ?? value) as Block;
}

const standIn = (name: string): string => `\${${name}}`;

function givenOf({ set = [] }: Options, channel: string, fields: readonly Field[]): Record<string, string> {
  return Object.fromEntries(
    set.map((pair) => {
      const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
      const field = fieldOf(channel, fields, key);
      if (field.secret === true)
        throw durarError('DUR_CLI_USAGE', { reason: `${key} is a secret and does not belong on a command line` }, { hint: SECRET_HINT });
      return [key, value];
    }),
  );
}

const SECRET_HINT = 'Name its variable with --secret-env, pipe it in, or type it when it is asked for.';

/** Secrets that stay in the environment: the variable of each field. */
function refsOf({ options, env }: CommandContext, channel: string, fields: readonly Field[]): Map<string, string> {
  const { secretEnv = [], tokenEnv, useEnv } = options as Options;
  const refs = new Map<string, string>();
  const secrets = fields.filter(({ secret }) => secret === true);
  if (useEnv === true) for (const { key, env: name } of secrets) if (name !== undefined && env[name] !== undefined) refs.set(key, name);
  if (tokenEnv !== undefined && secrets[0] !== undefined) refs.set(secrets[0].key, tokenEnv);
  for (const pair of secretEnv) {
    const [, key = '', name = ''] = /^([^=]+)=(.+)$/.exec(pair) ?? [];
    refs.set(fieldOf(channel, fields, key).key, name);
  }
  for (const name of refs.values())
    if (!/^[A-Z][A-Z0-9_]{0,127}$/.test(name))
      throw durarError('DUR_CLI_USAGE', { reason: `'${name}' is no name of a variable` }, { hint: 'Such names look like TELEGRAM_TOKEN.' });
  return refs;
}

function fieldOf(channel: string, fields: readonly Field[], key: string): Field {
  const field = fields.find((each) => each.key === key);
  if (field !== undefined) return field;
  throw durarError('DUR_CHANNEL_SETUP', { channel, reason: `it has no '${key}'`, hint: `It knows these: ${fields.map((each) => each.key).join(', ')}.` });
}

async function askAll(context: CommandContext, fields: readonly Field[], input: Record<string, string>): Promise<void> {
  const { createPrompt } = await import('../prompt.ts');
  for (const { key, label, required = false, secret = false, help } of fields) {
    if (help !== undefined) context.output.note(context.output.paint.muted(help));
    if (secret) {
      input[key] = await hidden(label, required);
      continue;
    }
    const prompt = createPrompt(context.output);
    try {
      input[key] = await prompt.text(label, { optional: !required });
    } finally {
      prompt.close();
    }
  }
}

/** One that is needed, and that nothing gave, is read from what is piped in. */
async function askSecrets({ fields, validateInput }: ChannelSetupAdapter, refs: ReadonlyMap<string, string>, input: Record<string, string>): Promise<void> {
  const open = fields.filter(({ key, secret }) => secret === true && !refs.has(key));
  const [first] = open.filter(({ required }) => required === true).concat(open);
  if (first === undefined || refs.size > 0) return;
  if (first.required !== true && validateInput?.(input) === undefined) return;
  input[first.key] = await hidden(first.label, first.required === true);
}

async function hidden(label: string, required: boolean): Promise<string> {
  try {
    return await readSecret(label);
  } catch (error) {
    if (required || (error as { code?: string }).code !== 'DUR_AUTH_INPUT') throw error;
    return '';
  }
}

async function channelIn(text: string, { paths }: CommandContext, id: string): Promise<Block> {
  const present = getAt(await parseText(text, paths.configFile), ['channels', id]);
  return isRecord(present) ? present : {};
}

/** What changes in the block of the channel. With a second account, the values of the first become those of `accounts.default`. */
function patchFor(present: Block, account: string | undefined, block: Block): Block {
  const { accounts } = present;
  const hasAccounts = isRecord(accounts) && Object.keys(accounts).length > 0;
  const on = present.enabled === false ? { enabled: true } : {};
  if (!hasAccounts && (account === undefined || account === DEFAULT_ACCOUNT)) return { ...on, ...block };
  const name = account ?? DEFAULT_ACCOUNT;
  if (hasAccounts) return { ...on, accounts: { [name]: { ...block, ...(isOff(accounts[name]) ? { enabled: true } : {}) } } };
  const own = Object.fromEntries(Object.entries(connectionPart(present)).filter(([key]) => !OF_CHANNEL.has(key)));
  if (isDeepStrictEqual(own, {})) return { ...on, accounts: { [name]: block } };
  const gone = Object.fromEntries(Object.keys(own).map((key) => [key, null]));
  return { ...on, ...gone, accounts: { [DEFAULT_ACCOUNT]: own, [name]: block } };
}

const isOff = (account: unknown): boolean => isRecord(account) && account.enabled === false;

function replaced(value: unknown, change: (text: string) => unknown): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((each) => replaced(each, change));
  return isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, replaced(each, change)])) : value;
}

function accountName(name: string | undefined): string | undefined {
  if (name === undefined || (/^[A-Za-z0-9][\w.-]{0,63}$/.test(name) && !isForbiddenKey(name))) return name;
  throw durarError('DUR_CLI_USAGE', { reason: `'${name}' is no name of an account` }, { hint: 'Take letters, digits, dots, dashes and underscores.' });
}
