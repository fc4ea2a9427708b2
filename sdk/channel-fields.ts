/** Keys of every channel's block that the host itself reads, as JSON Schema. A channel's own schema need not name them; where it does, its word counts. */

type Json = Record<string, unknown>;

const text = { type: 'string', minLength: 1 };
const flag = { type: 'boolean' };
const count = { type: 'integer', minimum: 0 };
/** Ids of people; numbers are taken as they are written. */
const people = { type: 'array', items: { type: ['string', 'number'] } };
const names = { type: 'array', items: text };
const oneOf = (...values: string[]): Json => ({ enum: values });
const shape = (properties: Json): Json => ({ type: 'object', additionalProperties: false, properties });
const mapOf = (of: Json): Json => ({ type: 'object', additionalProperties: of });

const tools = shape({ profile: oneOf('minimal', 'coding', 'messaging', 'full'), allow: names, deny: names });

/** What a group may say; a channel's schema may add keys. */
export const GROUP_FIELDS: Json = {
  enabled: flag,
  requireMention: flag,
  allowFrom: people,
  systemPrompt: { type: 'string' },
  skills: names,
  tools,
  toolsBySender: mapOf(tools),
};

const ACCOUNT_FIELDS: Json = {
  enabled: flag,
  name: { type: 'string' },
  dmPolicy: oneOf('pairing', 'allowlist', 'open', 'disabled'),
  allowFrom: people,
  groupPolicy: oneOf('allowlist', 'open', 'disabled'),
  groupAllowFrom: people,
  groups: mapOf({ type: 'object', properties: GROUP_FIELDS }),
  historyLimit: count,
  dmHistoryLimit: count,
  dms: mapOf(shape({ historyLimit: count })),
  mediaMaxMb: { type: 'number', exclusiveMinimum: 0 },
  textChunkLimit: { type: 'integer', minimum: 1 },
  maxLinesPerMessage: { type: 'integer', minimum: 1 },
  chunkMode: oneOf('length', 'newline'),
  streaming: true,
  blockStreaming: flag,
  blockStreamingCoalesce: true,
  responsePrefix: { type: 'string' },
  ackReaction: true,
  replyToMode: oneOf('off', 'first', 'all'),
  configWrites: flag,
  actions: { type: 'object' },
  markdown: { type: 'object' },
  heartbeat: { type: 'object' },
  retry: { type: 'object' },
  healthMonitor: shape({ enabled: flag }),
};

/** Keys that the host reads with every message, so that a change of them needs no new connection. */
const LIVE_KEYS = new Set([
  ...['dmPolicy', 'allowFrom', 'groupPolicy', 'groupAllowFrom', 'historyLimit', 'dmHistoryLimit', 'dms', 'mediaMaxMb', 'textChunkLimit', 'chunkMode'],
  ...['maxLinesPerMessage', 'streaming', 'blockStreamingCoalesce', 'actions'],
  ...['blockStreaming', 'responsePrefix', 'ackReaction', 'replyToMode', 'configWrites', 'heartbeat', 'healthMonitor'],
]);

/** What a connection is made of: a block, or an account's, without the keys that need no new one. */
export function connectionPart(block: Readonly<Record<string, unknown>>): Json {
  return Object.fromEntries(Object.entries(block).filter(([key]) => !LIVE_KEYS.has(key)));
}

/** What a channel is registered anew for. Its accounts come and go by themselves, with the configuration that each call brings. */
export function registeredPart(block: unknown): Json {
  const { accounts: _accounts, ...rest } = objectOf(block);
  return connectionPart(rest);
}

/** The schema of a channel's block, with what the host reads added: in the block, and in each of its accounts. */
export function withChannelFields(schema: Json): Json {
  const own = objectOf(schema.properties);
  const isClosed = schema.additionalProperties === false;
  const account = { type: 'object', ...(isClosed ? { additionalProperties: false } : {}), properties: { ...ACCOUNT_FIELDS, ...withoutAccounts(own) } };
  return { ...schema, properties: { ...ACCOUNT_FIELDS, defaultAccount: text, ...own, accounts: accountsOf(own.accounts) ?? mapOf(account) } };
}

/** The channel's own schema of its accounts, where it has one, widened by the host's keys. */
function accountsOf(own: unknown): Json | undefined {
  if (own === undefined) return undefined;
  const accounts = objectOf(own);
  const each = objectOf(accounts.additionalProperties);
  if (each.properties === undefined) return accounts;
  return { ...accounts, additionalProperties: { ...each, properties: { ...ACCOUNT_FIELDS, ...objectOf(each.properties) } } };
}

/** Defaults of the channel's schema are those of the block; an account without the key has the block's value. */
function withoutAccounts(properties: Json): Json {
  return Object.fromEntries(
    Object.entries(properties).flatMap(([key, value]) => {
      if (key === 'accounts') return [];
      const { default: _default, ...rest } = objectOf(value);
      return [[key, value === true ? true : rest]];
    }),
  );
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
