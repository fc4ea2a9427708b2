import { blockOf, createChannelAccounts, DEFAULT_ACCOUNT } from 'Durar/plugin-sdk/channel-accounts';
import { errorCode } from 'Durar/plugin-sdk/core';
import { type RetryPolicy, retryPolicy } from 'Durar/plugin-sdk/retry';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { IrcError } from './failure.ts';

export { DEFAULT_ACCOUNT };

/** One nick on one network with everything that is set for it. */
export interface IrcAccount {
  accountId: string;
  enabled: boolean;
  host: string;
  port: number;
  tls: boolean;
  caFile?: string;
  tlsFingerprint?: string;
  nick: string;
  username: string;
  realname: string;
  password?: string;
  sasl?: { username: string; password: string };
  nickserv?: { service: string; password: string; register: boolean; email?: string };
  /** Where it goes: name and key. */
  channels: Array<{ name: string; key?: string }>;
  messagesPerSecond: number;
  messageBurst: number;
  /** Whether an answer in a channel begins with the nick of who asked. */
  replyPrefix: boolean;
  tables: 'code' | 'bullets' | 'off';
  retry: RetryPolicy;
}

type Block = Record<string, unknown>;

/** What belongs to one server; an account on another does not inherit it, so that no password is shown to a stranger. */
const SERVER_KEYS = ['port', 'tls', 'caFile', 'tlsFingerprint', 'password', 'sasl', 'nickserv', 'channels', 'channelKeys'];

const accounts = createChannelAccounts('irc');

/** The names under `channels.irc.accounts`, else `default`. */
export const listAccountIds = accounts.list;

/** The account that is used where none is named. */
export const defaultAccountId = (config: Block): string => accounts.usual(config);

/** What an account does not set itself it takes from `channels.irc`; `default` takes what is set nowhere from the environment. */
export function resolveAccount(config: Block, accountId = defaultAccountId(config), env: NodeJS.ProcessEnv = process.env): IrcAccount {
  const settings = accountSettings(config, accountId, env);
  const tls = settings.tls !== false;
  const nick = text(settings.nick) ?? '';
  const sasl = blockOf(settings.sasl);
  const nickserv = blockOf(settings.nickserv);
  const { tables } = blockOf(settings.markdown);
  const caFile = text(settings.caFile);
  const tlsFingerprint = text(settings.tlsFingerprint);
  const password = text(settings.password);
  const saslPassword = text(sasl.password);
  const servicePassword = text(nickserv.password);
  const email = text(nickserv.email);
  return {
    accountId,
    enabled: settings.enabled !== false,
    host: text(settings.host) ?? '',
    port: number(settings.port) ?? (tls ? 6697 : 6667),
    tls,
    ...(caFile === undefined ? {} : { caFile }),
    ...(tlsFingerprint === undefined ? {} : { tlsFingerprint }),
    nick,
    username: text(settings.username) ?? 'durar',
    realname: text(settings.realname) ?? nick,
    ...(password === undefined ? {} : { password }),
    ...(saslPassword === undefined ? {} : { sasl: { username: text(sasl.username) ?? nick, password: saslPassword } }),
    ...(servicePassword === undefined || nickserv.enabled === false
      ? {}
      : {
          nickserv: {
            service: text(nickserv.service) ?? 'NickServ',
            password: servicePassword,
            register: nickserv.register === true,
            ...(email === undefined ? {} : { email }),
          },
        }),
    channels: channelsOf(settings),
    messagesPerSecond: number(settings.messagesPerSecond) ?? 1,
    messageBurst: number(settings.messageBurst) ?? 5,
    replyPrefix: settings.replyPrefix !== false,
    tables: tables === 'bullets' || tables === 'off' ? tables : 'code',
    retry: retryPolicy(settings.retry),
  };
}

/** The block of an account with what it inherits. */
export function accountSettings(config: Block, accountId: string, env: NodeJS.ProcessEnv = process.env): Block {
  const { accounts: _named, defaultAccount: _usual, ...channel } = accounts.block(config);
  const own = accounts.own(config, accountId);
  const inherited: Block = { ...channel };
  if (own.host !== undefined && own.host !== channel.host) for (const key of SERVER_KEYS) delete inherited[key];
  const settings: Block = { ...inherited, ...own };
  for (const key of ['sasl', 'nickserv', 'markdown', 'retry']) {
    if (inherited[key] !== undefined && own[key] !== undefined) settings[key] = { ...blockOf(inherited[key]), ...blockOf(own[key]) };
  }
  settings.enabled = channel.enabled !== false && own.enabled !== false;
  return accountId === DEFAULT_ACCOUNT ? withEnvironment(settings, env) : settings;
}

function withEnvironment(settings: Block, env: NodeJS.ProcessEnv): Block {
  const { IRC_TLS: tls, IRC_CHANNELS: channels } = env;
  const port = Number(env.IRC_PORT);
  const found: Block = {
    host: text(env.IRC_HOST),
    port: env.IRC_PORT !== undefined && Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined,
    tls: text(tls) === undefined ? undefined : !/^(0|false|no|off)$/i.test(tls ?? ''),
    nick: text(env.IRC_NICK),
    username: text(env.IRC_USERNAME),
    realname: text(env.IRC_REALNAME),
    password: text(env.IRC_PASSWORD),
    channels: text(channels)
      ?.split(/[\s,]+/)
      .filter((name) => name !== ''),
  };
  const filled = { ...Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)), ...settings };
  const { sasl, nickserv } = settings;
  const saslPassword = text(env.IRC_SASL_PASSWORD);
  const servicePassword = text(env.IRC_NICKSERV_PASSWORD);
  const username = text(env.IRC_SASL_USERNAME);
  const email = text(env.IRC_NICKSERV_REGISTER_EMAIL);
  if (saslPassword !== undefined)
    Object.assign(filled, { sasl: { password: saslPassword, ...(username === undefined ? {} : { username }), ...blockOf(sasl) } });
  if (servicePassword !== undefined)
    Object.assign(filled, {
      nickserv: { password: servicePassword, ...(email === undefined ? {} : { register: true, email }), ...blockOf(nickserv) },
    });
  return filled;
}

/** Whether it says where to go and as whom. */
export function isConfigured({ host, nick }: IrcAccount): boolean {
  return host !== '' && nick !== '';
}

/** Throws an error that says what is wrong with the settings, before anything is sent. */
export function checkAccount(account: IrcAccount): void {
  const { accountId, host, nick, username, realname, password, sasl, nickserv, channels } = account;
  if (!isConfigured(account)) {
    throw new IrcError('IRC_SETTINGS', `the IRC account '${accountId}' has no ${host === '' ? 'host' : 'nick'}`, {
      hint: `Set channels.irc.host and channels.irc.nick${accountId === DEFAULT_ACCOUNT ? ', or IRC_HOST and IRC_NICK' : ' of the account'}.`,
    });
  }
  const words = { nick, username, 'sasl.username': sasl?.username, 'nickserv.service': nickserv?.service, 'nickserv.email': nickserv?.email };
  for (const [key, word] of Object.entries(words)) if (word !== undefined && /[\s\p{Cc}]/u.test(word)) throw unfit(key, 'blank space or a control character');
  const texts = { realname, password, 'sasl.password': sasl?.password, 'nickserv.password': nickserv?.password };
  for (const [key, each] of Object.entries(texts))
    if (each !== undefined && /\p{Cc}/u.test(each)) throw unfit(key, 'a line break or another control character');
  if (nickserv !== undefined && /\s/.test(nickserv.password)) throw unfit('nickserv.password', 'blank space');
  for (const { name, key = '' } of channels) {
    if (/[\s,\p{Cc}]/u.test(name) || name.length < 2) throw unfit('channels', `'${name}', which is no name of a channel`);
    if (/[\s,\p{Cc}]/u.test(key)) throw unfit(`channelKeys.${name}`, 'blank space, a comma or a control character');
  }
}

function unfit(key: string, what: string): IrcError {
  return new IrcError('IRC_SETTINGS', `channels.irc.${key} has ${what}`, { hint: `Correct channels.irc.${key}, or that of the account.` });
}

/** Passwords that would go over the network in plain text. */
export function sendsOpenPassword({ tls, host, password, sasl, nickserv }: IrcAccount): boolean {
  const isLocal = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  return !tls && !isLocal && (password ?? sasl ?? nickserv) !== undefined;
}

export async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new IrcError('IRC_CA_FILE', `the file ${path} cannot be read (${errorCode(error) ?? 'unknown reason'})`, {
      cause: error,
      hint: 'Name a readable PEM file in channels.irc.caFile.',
    });
  }
}

function channelsOf(settings: Block): IrcAccount['channels'] {
  const keys = new Map(Object.entries(blockOf(settings.channelKeys)).map(([name, key]) => [name.toLowerCase(), text(key)]));
  const listed = Array.isArray(settings.channels) ? settings.channels.map(String) : [];
  return listed.map((name) => {
    const key = keys.get(name.toLowerCase());
    return key === undefined ? { name } : { name, key };
  });
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
