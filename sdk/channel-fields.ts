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

/** What a group, or a topic of it, may say; a channel's schema may add keys. */
const TOPIC_FIELDS: Json = {
  enabled: flag,
  requireMention: flag,
  allowFrom: people,
  systemPrompt: { type: 'string' },
  skills: names,
  tools,
  toolsBySender: mapOf(tools),
};
const GROUP_FIELDS: Json = { ...TOPIC_FIELDS, topics: mapOf(shape({ ...TOPIC_FIELDS, agentId: text })) };

const ACCOUNT_FIELDS: Json = {
  enabled: flag,
  name: { type: 'string' },
  dmPolicy: oneOf('pairing', 'allowlist', 'open', 'disabled'),
  allowFrom: people,
  groupPolicy: oneOf('allowlist', 'open', 'disabled'),
  groupAllowFrom: people,
  groups: mapOf(shape(GROUP_FIELDS)),
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

/** Keys that the host alone reads, with every message, so that a change of them needs no new connection. */
const LIVE_KEYS = new Set([
  ...['dmPolicy', 'allowFrom', 'groupPolicy', 'groupAllowFrom', 'historyLimit', 'dmHistoryLimit', 'blockStreaming', 'responsePrefix'],
  ...['configWrites', 'healthMonitor'],
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
  const shared = { ...ACCOUNT_FIELDS, ...own, ...(own.groups === undefined ? {} : { groups: widened(own.groups, GROUP_FIELDS) }) };
  const isClosed = schema.additionalProperties === false;
  const account = { type: 'object', ...(isClosed ? { additionalProperties: false } : {}), properties: ofAccount(shared) };
  const accounts = own.accounts === undefined ? mapOf(account) : widened(own.accounts, ACCOUNT_FIELDS);
  return { ...schema, properties: { ...shared, defaultAccount: text, accounts } };
}

/** The channel's own schema of a map, its entries with the host's keys beside their own. */
function widened(map: unknown, fields: Json): Json {
  const own = objectOf(map);
  const each = objectOf(own.additionalProperties);
  if (each.properties === undefined) return own;
  return { ...own, additionalProperties: { ...each, properties: { ...fields, ...objectOf(each.properties) } } };
}

/** Defaults of the channel's schema are those of the block; an account without the key has the block's value. */
function ofAccount(properties: Json): Json {
  return Object.fromEntries(
    Object.entries(properties).flatMap(([key, value]) => {
      if (key === 'accounts') return [];
      const { default: _default, ...rest } = objectOf(value);
      return [[key, typeof value === 'boolean' ? value : rest]];
    }),
  );
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
