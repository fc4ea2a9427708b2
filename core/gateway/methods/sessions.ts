import { durarError, errorText } from '../../../sdk/errors.ts';
import type { SessionListParams, SessionRecord } from '../../../sdk/index.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';
import { readHistory } from '../history.ts';
import { sessionEntry, sessionRow } from '../session-row.ts';
import { compact } from './agent.ts';

const MAX_LISTED = 1000;
const PREVIEW_CHARS = 120;
const TITLE_CHARS = 60;
/** `spare`: messages read for each item, as not every message has a text. */
const PREVIEW = { keys: 64, items: 12, mostItems: 200, chars: 240, mostChars: 2000, spare: 3 } as const;

type Names =
  | 'sessions.list'
  | 'sessions.get'
  | 'sessions.context'
  | 'sessions.turns'
  | 'sessions.turn'
  | 'sessions.compare'
  | 'sessions.entries'
  | 'sessions.resolve'
  | 'sessions.preview'
  | 'sessions.subscribe'
  | 'sessions.unsubscribe'
  | 'sessions.messages.subscribe'
  | 'sessions.messages.unsubscribe';

export function sessionsMethods(context: GatewayContext): MethodFamily<Names> {
  const { agent, sessions, source, sessionEvents } = context;

  const enrich = async (record: SessionRecord, titles: boolean, previews: boolean) => {
    const row = sessionRow(record, agent.models.defaults());
    if (previews) {
      const [last] = await readHistory(sessions, record, { limit: 1, maxChars: 10 * PREVIEW_CHARS });
      const text = last === undefined ? '' : shorten(textOf(last), PREVIEW_CHARS);
      if (text !== '') row.lastMessagePreview = text;
    }
    if (titles) {
      const { entries } = await sessions.read(record, { fromSeq: 1, limit: 8 });
      const first = entries.find((entry) => entry.type === 'message' && entry.message.role === 'user');
      const title = first?.type === 'message' ? textOf(first.message as unknown as Record<string, unknown>) : '';
      if (title !== '') row.derivedTitle = shorten(title, TITLE_CHARS);
    }
    return row;
  };

  const preview = async (key: string, { limit, maxChars }: { limit: number; maxChars: number }) => {
    try {
      const record = await sessions.get(sessions.canonicalKey(key));
      if (record === undefined) return { key, status: 'missing' as const, items: [] };
      const messages = await readHistory(sessions, record, { limit: limit * PREVIEW.spare, maxChars });
      const texts = messages.map((message) => ({ role: roleOf(message), text: shorten(textOf(message), maxChars) }));
      const items = texts.filter(({ text }) => text !== '').slice(-limit);
      return { key, status: items.length === 0 ? ('empty' as const) : ('ok' as const), items };
    } catch (error) {
      context.log.debug('a session cannot be previewed', { key, reason: errorText(error) });
      return { key, status: 'error' as const, items: [] };
    }
  };

  const only = async (query: SessionListParams, named: string): Promise<SessionRecord> => {
    const { sessions: found } = await sessions.list({ ...query, limit: 2 });
    const [first] = found;
    if (first === undefined) throw new ProtocolError('INVALID_REQUEST', `No session found: ${named}`);
    if (found.length > 1) throw new ProtocolError('INVALID_REQUEST', `Multiple sessions found with label: ${named}`);
    return first;
  };

  return {
    async 'sessions.list'(params) {
      const now = Date.now();
      const limit = Math.min(params.limit ?? MAX_LISTED, MAX_LISTED);
      const { sessions: listed } = await sessions.list(
        compact({
          agentId: params.agentId,
          label: params.label,
          spawnedBy: params.spawnedBy,
          search: params.search,
          activeSince: params.activeMinutes === undefined ? undefined : now - params.activeMinutes * 60_000,
          // the two that belong to no agent may be left out again
          limit: limit + 2,
        }),
      );
      const isShown = ({ key }: SessionRecord) => (key !== 'global' || params.includeGlobal === true) && (key !== 'unknown' || params.includeUnknown === true);
      const found = listed.filter(isShown).slice(0, limit);
      const main = agent.models.defaults();
      const titles = params.includeDerivedTitles === true;
      const previews = params.includeLastMessage === true;
      const rows =
        titles || previews ? await Promise.all(found.map((record) => enrich(record, titles, previews))) : found.map((record) => sessionRow(record, main));
      return {
        ts: now,
        path: `store:${source.current().plan.slots.sessionStore.key}`,
        count: rows.length,
        defaults: { modelProvider: main.provider, model: main.model, contextTokens: source.current().config.agents?.defaults?.contextTokens ?? null },
        sessions: rows,
      };
    },

    async 'sessions.get'({ key, sessionKey, limit = 200 }) {
      const named = key ?? sessionKey;
      if (named === undefined) throw new ProtocolError('INVALID_REQUEST', "invalid sessions.get params: must have required property 'key'");
      const session = await sessions.get(sessions.canonicalKey(named));
      if (session === undefined) return { messages: [] };
      return {
        messages: await readHistory(sessions, session, { limit }),
        session: sessionRow(session, agent.models.defaults()),
        entry: sessionEntry(session, await sessions.sessionFile(session)),
      };
    },

    'sessions.compare': ({ key, since }) => agent.compareEngines({ sessionKey: key === undefined ? undefined : sessions.canonicalKey(key), since }),
    async 'sessions.entries'({ key, fromSeq = 1, limit = 100 }) {
      const record = await sessions.get(sessions.canonicalKey(key));
      if (record === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key });
      const { entries, lastSeq } = await sessions.read(record, { fromSeq, limit });
      return { key: record.key, sessionId: record.sessionId, entries: entries as unknown as Array<Record<string, unknown>>, lastSeq };
    },
    'sessions.context': ({ key }) => agent.inspect({ sessionKey: key }),

    'sessions.turns': ({ key, limit }) => agent.turns({ sessionKey: key, limit }),

    'sessions.turn': ({ key = 'main', turn }) => agent.turn({ sessionKey: key, turn }),

    async 'sessions.resolve'({ key, sessionId, label, agentId, spawnedBy }) {
      const given = [key, sessionId, label].filter((value) => value !== undefined);
      if (given.length === 0) throw new ProtocolError('INVALID_REQUEST', 'Either key, sessionId, or label is required');
      if (given.length > 1) throw new ProtocolError('INVALID_REQUEST', 'Provide either key, sessionId, or label (not multiple)');
      if (label !== undefined) return { ok: true, key: (await only(compact({ label, agentId, spawnedBy }), label)).key };
      const found = key === undefined ? await sessions.getById(sessionId ?? '') : await sessions.get(sessions.canonicalKey(key, agentId));
      if (found === undefined || (agentId !== undefined && found.agentId !== agentId) || (spawnedBy !== undefined && found.spawnedBy !== spawnedBy)) {
        throw new ProtocolError('INVALID_REQUEST', `No session found: ${key ?? sessionId}`);
      }
      return { ok: true, key: found.key };
    },

    async 'sessions.preview'({ keys, limit = PREVIEW.items, maxChars = PREVIEW.chars }) {
      const bounds = { limit: Math.min(limit, PREVIEW.mostItems), maxChars: Math.min(maxChars, PREVIEW.mostChars) };
      const previews = await Promise.all(keys.slice(0, PREVIEW.keys).map((key) => preview(key, bounds)));
      return { ts: Date.now(), previews };
    },

    'sessions.subscribe'(_params, { connection }) {
      sessionEvents.subscribe(connection);
      return { subscribed: true };
    },
    'sessions.unsubscribe'(_params, { connection }) {
      sessionEvents.unsubscribe(connection);
      return { subscribed: false };
    },
    'sessions.messages.subscribe'({ key: sent }, { connection }) {
      const key = sessions.canonicalKey(sent);
      sessionEvents.subscribeMessages(connection, key);
      return { subscribed: true, key };
    },
    'sessions.messages.unsubscribe'({ key: sent }, { connection }) {
      const key = sessions.canonicalKey(sent);
      sessionEvents.unsubscribeMessages(connection, key);
      return { subscribed: false, key };
    },
  };
}

function roleOf({ role }: Record<string, unknown>): string {
  if (role === 'toolResult') return 'tool';
  return role === 'user' || role === 'assistant' || role === 'system' ? role : 'other';
}

/** One line of at most so many characters. */
function shorten(text: string, length: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`;
}

function textOf(message: Record<string, unknown>): string {
  const { content } = message;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.flatMap((block: { text?: unknown }) => (typeof block.text === 'string' ? [block.text] : [])).join('\n');
}
