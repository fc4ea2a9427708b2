import { durarError, errorCode, errorText, type PluginLogger, type SessionRecord, type SessionStore } from 'Durar/plugin-sdk/core';
import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { type Header, TRANSCRIPT_VERSION } from './entry-line.ts';
import { createOpenTranscripts } from './open-transcripts.ts';
import { findTranscripts } from './recovery.ts';
import { fileTimestamp } from './repair.ts';
import { type IndexRow, openSessionIndex } from './session-index.ts';
import { createTranscriptFile, openTranscript, type Transcript } from './transcript.ts';

/** Becomes a folder name. */
const AGENT_ID = /^[a-z0-9][a-z0-9_-]{0,63}$/i;

/** What a session keeps when its key gets a new transcript: settings and where it talks to, not what it has done. */
const KEPT_BY_RESET = [
  'label',
  'displayName',
  'channel',
  'chatType',
  'modelOverride',
  'thinkingLevel',
  'verboseLevel',
  'reasoningLevel',
  'spawnedBy',
  'parentSessionKey',
  'lastChannel',
  'lastTo',
  'lastAccountId',
  'extra',
] as const satisfies ReadonlyArray<keyof SessionRecord>;

/** Sessions on the local disk. Only one process may have a state folder open; the host's lock sees to that. */
export function createLocalStore(options: { stateDir: string; log: PluginLogger }): SessionStore {
  const { log } = options;
  const agentsDir = join(options.stateDir, 'agents');
  const index = openSessionIndex(join(agentsDir, 'sessions.db'), () => findTranscripts(agentsDir, log), log);
  const transcripts = createOpenTranscripts();

  const fileOf = (session: SessionRecord) => join(agentsDir, session.agentId, 'sessions', `${session.sessionId}.jsonl`);

  const rowOfKey = (key: string): IndexRow => index.byKey(key) ?? unknown(key);
  const rowOfId = (sessionId: string): IndexRow => index.byId(sessionId) ?? unknown(sessionId);

  const open = async (sessionId: string): Promise<Transcript> => {
    const { session, cwd, seq } = rowOfId(sessionId);
    const file = fileOf(session);
    const transcript = await openTranscript({ file, header: headerOf(session, cwd), log });
    if (transcript.lastSeq < seq) log.error('a transcript has fewer entries than were written', { file, entries: transcript.lastSeq, written: seq });
    if (transcript.lastSeq !== seq) advance(sessionId, transcript.lastSeq, Date.parse(transcript.lastTimestamp ?? '') || session.updatedAt);
    return transcript;
  };

  /** The entries are safe by now; an index that lags is put right when the transcript is next opened. */
  const advance = (sessionId: string, seq: number, updatedAt: number) => {
    try {
      index.advance(sessionId, seq, updatedAt);
    } catch (error) {
      log.warn('the session index could not be updated', { sessionId, reason: errorText(error) });
    }
  };

  const archive = (session: SessionRecord, kind: 'reset' | 'deleted'): string[] => {
    const file = fileOf(session);
    const target = `${file}.${kind}.${fileTimestamp()}`;
    try {
      renameSync(file, target);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw unwritable(agentsDir, error);
    }
    return [target];
  };

  return {
    id: 'local',
    async open({ key, agentId, cwd = process.cwd(), create = {} }) {
      const present = index.byKey(key);
      if (present !== undefined) return { session: present.session, created: false };
      if (!AGENT_ID.test(agentId)) throw durarError('DUR_SESSION_KEY', { key: `agent:${agentId}` }, { owner: { extension: 'local' } });
      const now = Date.now();
      const session: SessionRecord = { createdAt: now, updatedAt: now, ...create, key, agentId, sessionId: randomUUID() };
      if (!index.insert({ session, cwd, seq: 0 })) return { session: rowOfKey(key).session, created: false };
      createTranscriptFile(fileOf(session), headerOf(session, cwd));
      return { session, created: true };
    },
    async get(params) {
      return ('key' in params ? index.byKey(params.key) : index.byId(params.sessionId))?.session;
    },
    async list(params) {
      return index.list(params);
    },
    async patch({ key, fields, touch = true }) {
      const row = rowOfKey(key);
      const { createdAt, updatedAt, sessionId, agentId } = row.session;
      const merged: Record<string, unknown> = { ...row.session, ...(touch ? { updatedAt: Date.now() } : {}) };
      for (const [field, value] of Object.entries(fields)) {
        if (value === null) delete merged[field];
        else if (value !== undefined) merged[field] = value;
      }
      const session: SessionRecord = { updatedAt, ...merged, key, sessionId, agentId, createdAt };
      index.update({ ...row, session });
      return session;
    },
    async append({ sessionId, entries }) {
      if (entries.length === 0) return { entries: [] };
      return transcripts.use(
        sessionId,
        () => open(sessionId),
        (transcript) => {
          const before = transcript.lastSeq;
          try {
            const written = transcript.append(entries);
            if (transcript.lastSeq > before) advance(sessionId, transcript.lastSeq, Date.now());
            return { entries: written };
          } catch (error) {
            if (errorCode(error) === 'DUR_STATE_UNWRITABLE') transcripts.drop(sessionId);
            throw error;
          }
        },
      );
    },
    async read({ sessionId, ...range }) {
      return transcripts.use(
        sessionId,
        () => open(sessionId),
        (transcript) => transcript.read(range),
      );
    },
    async rewrite({ sessionId, replacements }) {
      return transcripts.use(
        sessionId,
        () => open(sessionId),
        async (transcript) => {
          try {
            return { rewritten: await transcript.rewrite(replacements) };
          } catch (error) {
            if (errorCode(error) === 'DUR_STATE_UNWRITABLE') transcripts.drop(sessionId);
            throw error;
          }
        },
      );
    },
    async reset({ key }) {
      const { session: old, cwd } = rowOfKey(key);
      const now = Date.now();
      const session: SessionRecord = { key, agentId: old.agentId, sessionId: randomUUID(), createdAt: now, updatedAt: now };
      for (const field of KEPT_BY_RESET) if (old[field] !== undefined) Object.assign(session, { [field]: old[field] });
      index.update({ session, cwd, seq: 0 });
      createTranscriptFile(fileOf(session), headerOf(session, cwd));
      transcripts.drop(old.sessionId);
      archive(old, 'reset');
      return session;
    },
    async delete({ key, deleteTranscript = true }) {
      const row = index.byKey(key);
      if (row === undefined) return { deleted: false, archived: [] };
      index.remove(key);
      transcripts.drop(row.session.sessionId);
      return { deleted: true, archived: deleteTranscript ? archive(row.session, 'deleted') : [] };
    },
    async sessionFile({ sessionId }) {
      const row = index.byId(sessionId);
      return row === undefined ? undefined : fileOf(row.session);
    },
    async close() {
      transcripts.dropAll();
      index.close();
    },
  };
}

function headerOf(session: SessionRecord, cwd: string): Header {
  return { type: 'session', version: TRANSCRIPT_VERSION, id: session.sessionId, timestamp: new Date(session.createdAt).toISOString(), cwd, key: session.key };
}

function unknown(key: string): never {
  throw durarError('DUR_SESSION_UNKNOWN', { key }, { owner: { extension: 'local' } });
}

function unwritable(dir: string, error: unknown): Error {
  return durarError('DUR_STATE_UNWRITABLE', { dir, reason: errorText(error) }, { owner: { extension: 'local' }, cause: error });
}
