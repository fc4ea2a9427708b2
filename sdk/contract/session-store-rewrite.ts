import assert from 'node:assert/strict';
import type { AgentMessage } from '../messages.ts';
import type { StoredEntry } from '../ports/session-store.ts';
import type { ContractCase } from './contract.ts';
import { everyKind, rejectsWith, type SessionStoreContext, userEntry } from './session-entries.ts';

/** What a store that rewrites promises. */
export const REWRITE_CASES: ReadonlyArray<ContractCase<SessionStoreContext>> = [
  {
    name: 'a rewrite changes messages and nothing else: ids, numbers and what stands behind stay',
    skip: ({ store }) => (store.rewrite === undefined ? 'the store does not rewrite' : undefined),
    async run({ store, reopen }) {
      const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
      const { sessionId } = session;
      const entries = everyKind();
      await store.append({ sessionId, entries });
      const { entries: before } = await store.read({ sessionId });
      const plain = (stored: StoredEntry[]) => stored.map(({ fileId: _fileId, ...entry }) => entry);
      const message: AgentMessage = { role: 'user', content: 'another hello', timestamp: 1 };
      const id = before[0]?.id ?? '';
      assert.deepEqual(await store.rewrite?.({ sessionId, replacements: [{ id, message }] }), { rewritten: 1 });
      const expected = before.map((stored, index) => (index === 0 ? { ...stored, message } : stored));
      const { entries: after, lastSeq } = await store.read({ sessionId });
      assert.deepEqual(plain(after), expected);
      assert.equal(lastSeq, entries.length);
      const second: AgentMessage = { role: 'user', content: 'a third hello', timestamp: 1 };
      // by the id that it has in the file, where that is another one
      await store.rewrite?.({ sessionId, replacements: [{ id: after[0]?.fileId ?? id, message: second }] });
      await store.append({ sessionId, entries: [{ ...userEntry('behind it'), id: 'cccccccc' }] });
      const again = await reopen();
      const { entries: last } = await again.read({ sessionId });
      assert.deepEqual(
        plain(last).slice(0, -1),
        before.map((stored, index) => (index === 0 ? { ...stored, message: second } : stored)),
      );
      assert.deepEqual([last.at(-1)?.id, last.at(-1)?.seq, last.at(-1)?.parentId], ['cccccccc', entries.length + 1, before.at(-1)?.id]);
      assert.deepEqual(await again.append({ sessionId, entries }), { entries: entries.map((entry, index) => ({ id: entry.id, seq: index + 1 })) });
    },
  },
  {
    name: 'a rewrite of what is not a message of the session is refused and changes nothing',
    skip: ({ store }) => (store.rewrite === undefined ? 'the store does not rewrite' : undefined),
    async run({ store }) {
      const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
      const { sessionId } = session;
      const entries = everyKind();
      await store.append({ sessionId, entries });
      const before = await store.read({ sessionId });
      const message: AgentMessage = { role: 'user', content: 'no', timestamp: 1 };
      for (const id of ['ffffffff', entries.find(({ type }) => type === 'compaction')?.id ?? '']) {
        const replacements = [
          { id: entries[0]?.id ?? '', message },
          { id, message },
        ];
        await rejectsWith('DUR_SESSION_REWRITE', store.rewrite?.({ sessionId, replacements }) ?? Promise.resolve());
      }
      assert.deepEqual(await store.read({ sessionId }), before);
    },
  },
];
