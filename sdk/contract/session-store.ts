import assert from 'node:assert/strict';
import type { SessionStore } from '../ports/session-store.ts';
import type { ContractSuite } from './contract.ts';
import { entry, everyKind, rejectsWith, type SessionStoreContext, userEntry } from './session-entries.ts';
import { REWRITE_CASES } from './session-store-rewrite.ts';

export type { SessionStoreContext } from './session-entries.ts';

/** What every session store promises. */
export const sessionStoreContract: ContractSuite<SessionStoreContext> = {
  port: 'session store',
  cases: [
    {
      name: 'open makes a session once and finds it again',
      async run({ store }) {
        const before = Date.now();
        const first = await store.open({ key: 'agent:main:main', agentId: 'main', create: { label: 'mine' } });
        assert.equal(first.created, true);
        assert.equal(first.session.key, 'agent:main:main');
        assert.equal(first.session.agentId, 'main');
        assert.equal(first.session.label, 'mine');
        assert.ok(first.session.createdAt >= before && first.session.updatedAt >= before);
        const second = await store.open({ key: 'agent:main:main', agentId: 'main' });
        assert.equal(second.created, false);
        assert.deepEqual(second.session, first.session);
        assert.deepEqual(await store.get({ sessionId: first.session.sessionId }), first.session);
        assert.equal(await store.get({ key: 'agent:main:other' }), undefined);
      },
    },
    {
      name: 'opens of one key at once make one session',
      async run({ store }) {
        const opened = await Promise.all(Array.from({ length: 20 }, () => store.open({ key: 'agent:main:main', agentId: 'main' })));
        assert.equal(new Set(opened.map(({ session }) => session.sessionId)).size, 1);
        assert.equal(opened.filter(({ created }) => created).length, 1);
        assert.equal((await store.list({})).total, 1);
      },
    },
    {
      name: 'every kind of entry comes back as it was written, with parent and sequence number',
      async run({ store, reopen }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
        const { sessionId } = session;
        const entries = everyKind();
        const { entries: written } = await store.append({ sessionId, entries });
        assert.deepEqual(
          written,
          entries.map(({ id }, index) => ({ id, seq: index + 1 })),
        );
        const expected = entries.map((entry, index) => ({ ...entry, parentId: entries[index - 1]?.id ?? null, seq: index + 1 }));
        assert.deepEqual(await store.read({ sessionId }), { entries: expected, lastSeq: entries.length });
        const again = await reopen();
        assert.deepEqual(await again.read({ sessionId }), { entries: expected, lastSeq: entries.length });
      },
    },
    {
      name: 'an append that is repeated changes nothing and returns the same numbers',
      async run({ store, reopen }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
        const { sessionId } = session;
        const entries = [userEntry('one'), userEntry('two')];
        const first = await store.append({ sessionId, entries });
        await store.append({ sessionId, entries: [userEntry('three')] });
        assert.deepEqual(await store.append({ sessionId, entries }), first);
        const again = await reopen();
        assert.deepEqual(await again.append({ sessionId, entries }), first);
        assert.deepEqual(await texts(again, sessionId), ['one', 'two', 'three']);
      },
    },
    {
      name: 'an append of which only a part is new is refused and changes nothing',
      async run({ store }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
        const { sessionId } = session;
        const known = userEntry('known');
        await store.append({ sessionId, entries: [known] });
        await rejectsWith('DUR_SESSION_ENTRY_ID', store.append({ sessionId, entries: [userEntry('new'), known] }));
        const twice = userEntry('twice');
        await rejectsWith('DUR_SESSION_ENTRY_ID', store.append({ sessionId, entries: [twice, { ...twice }] }));
        assert.deepEqual(await texts(store, sessionId), ['known']);
      },
    },
    {
      name: 'an append that cannot be stored changes nothing',
      async run({ store }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
        const { sessionId } = session;
        const circular: { self?: unknown } = {};
        circular.self = circular;
        await assert.rejects(store.append({ sessionId, entries: [userEntry('good'), entry({ type: 'custom', customType: 'bad', data: circular })] }));
        await store.append({ sessionId, entries: [userEntry('next')] });
        assert.deepEqual(await texts(store, sessionId), ['next']);
      },
    },
    {
      name: 'appends at once get sequence numbers without gaps, and reads see each append that resolved',
      async run({ store }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
        const { sessionId } = session;
        await Promise.all(
          Array.from({ length: 40 }, async (_none, index) => {
            const { entries } = await store.append({ sessionId, entries: [userEntry(`${index}a`), userEntry(`${index}b`)] });
            const seen = await texts(store, sessionId);
            const at = (entries[0]?.seq ?? 0) - 1;
            assert.deepEqual(seen.slice(at, at + 2), [`${index}a`, `${index}b`]);
          }),
        );
        const { entries, lastSeq } = await store.read({ sessionId });
        assert.deepEqual(
          entries.map(({ seq }) => seq),
          Array.from({ length: 80 }, (_none, index) => index + 1),
        );
        assert.equal(lastSeq, 80);
      },
    },
    {
      name: 'read takes a part: `fromSeq` with `limit` from there on, `limit` alone the newest',
      async run({ store }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
        const { sessionId } = session;
        assert.deepEqual(await store.read({ sessionId }), { entries: [], lastSeq: 0 });
        for (let index = 1; index <= 10; index++) await store.append({ sessionId, entries: [userEntry(String(index))] });
        assert.deepEqual(await texts(store, sessionId, { fromSeq: 8 }), ['8', '9', '10']);
        assert.deepEqual(await texts(store, sessionId, { fromSeq: 3, limit: 2 }), ['3', '4']);
        assert.deepEqual(await texts(store, sessionId, { limit: 2 }), ['9', '10']);
        assert.deepEqual(await store.read({ sessionId, fromSeq: 11 }), { entries: [], lastSeq: 10 });
      },
    },
    {
      name: 'keeps any text unchanged',
      async run({ store, reopen }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
        const odd = ['line\nbreak\r\n', '\u2028\u2029\u0000', '"quotes" \\', '日本語 🙂', ' '.repeat(3), 'x'.repeat(300_000), ''];
        await store.append({ sessionId: session.sessionId, entries: odd.map((text) => userEntry(text)) });
        assert.deepEqual(await texts(await reopen(), session.sessionId), odd);
      },
    },
    {
      name: 'patch sets, keeps and clears fields, and touches the time unless told otherwise',
      async run({ store, reopen }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main', create: { updatedAt: 1_000, label: 'old' } });
        const kept = await store.patch({ key: session.key, fields: { model: 'echo', totalTokens: 5, extra: { a: [1] } }, touch: false });
        assert.equal(kept.updatedAt, 1_000);
        const touched = await store.patch({ key: session.key, fields: { label: null, totalTokens: 6 } });
        assert.ok(touched.updatedAt > 1_000);
        assert.equal('label' in touched, false);
        assert.deepEqual([touched.model, touched.totalTokens, touched.extra], ['echo', 6, { a: [1] }]);
        assert.deepEqual(await (await reopen()).get({ key: session.key }), touched);
      },
    },
    {
      name: 'list is newest first, filters and pages, and counts all that match',
      async run({ store }) {
        const make = (agentId: string, name: string, updatedAt: number, more = {}) =>
          store.open({ key: `agent:${agentId}:${name}`, agentId, create: { updatedAt, ...more } });
        await make('main', 'a', 1_000, { label: 'work' });
        await make('main', 'b', 3_000, { displayName: 'Bees 100%' });
        await make('other', 'c', 2_000, { spawnedBy: 'agent:main:a' });
        const names = async (params: Parameters<SessionStore['list']>[0]) => {
          const { sessions, total } = await store.list(params);
          return [total, ...sessions.map(({ key }) => key.split(':')[2])];
        };
        assert.deepEqual(await names({}), [3, 'b', 'c', 'a']);
        assert.deepEqual(await names({ limit: 1 }), [3, 'b']);
        assert.deepEqual(await names({ limit: 1, offset: 1 }), [3, 'c']);
        assert.deepEqual(await names({ agentId: 'main' }), [2, 'b', 'a']);
        assert.deepEqual(await names({ activeSince: 2_000 }), [2, 'b', 'c']);
        assert.deepEqual(await names({ label: 'work' }), [1, 'a']);
        assert.deepEqual(await names({ spawnedBy: 'agent:main:a' }), [1, 'c']);
        assert.deepEqual(await names({ search: '100%' }), [1, 'b']);
        assert.deepEqual(await names({ search: 'OTHER' }), [1, 'c']);
        assert.deepEqual(await names({ search: '%' }), [1, 'b']);
      },
    },
    {
      name: 'an append moves its session to the front of the list',
      async run({ store }) {
        const { session } = await store.open({ key: 'agent:main:a', agentId: 'main', create: { updatedAt: 1_000 } });
        await store.open({ key: 'agent:main:b', agentId: 'main', create: { updatedAt: 2_000 } });
        await store.append({ sessionId: session.sessionId, entries: [userEntry('hello')] });
        assert.deepEqual(
          (await store.list({})).sessions.map(({ key }) => key),
          ['agent:main:a', 'agent:main:b'],
        );
      },
    },
    {
      name: 'reset gives the key an empty session and closes the old one',
      async run({ store }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main', create: { thinkingLevel: 'high', totalTokens: 9 } });
        await store.append({ sessionId: session.sessionId, entries: [userEntry('old')] });
        const fresh = await store.reset({ key: session.key, reason: 'new' });
        assert.notEqual(fresh.sessionId, session.sessionId);
        assert.deepEqual([fresh.key, fresh.thinkingLevel, fresh.totalTokens], [session.key, 'high', undefined]);
        assert.deepEqual(await store.read({ sessionId: fresh.sessionId }), { entries: [], lastSeq: 0 });
        assert.deepEqual(await store.append({ sessionId: fresh.sessionId, entries: [entry(userEntry('new'), 'aaaaaaaa')] }), {
          entries: [{ id: 'aaaaaaaa', seq: 1 }],
        });
        await rejectsWith('DUR_SESSION_UNKNOWN', store.append({ sessionId: session.sessionId, entries: [userEntry('late')] }));
      },
    },
    {
      name: 'delete removes the session, and the key can be used anew',
      async run({ store, reopen }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
        await store.append({ sessionId: session.sessionId, entries: [userEntry('old')] });
        assert.equal((await store.delete({ key: session.key })).deleted, true);
        assert.deepEqual(await store.delete({ key: session.key }), { deleted: false, archived: [] });
        assert.equal(await store.get({ key: session.key }), undefined);
        const again = await reopen();
        assert.equal(await again.get({ sessionId: session.sessionId }), undefined);
        const { session: next, created } = await again.open({ key: session.key, agentId: 'main' });
        assert.equal(created, true);
        assert.deepEqual(await again.read({ sessionId: next.sessionId }), { entries: [], lastSeq: 0 });
      },
    },
    {
      name: 'what is not there is refused by its code',
      async run({ store }) {
        await rejectsWith('DUR_SESSION_UNKNOWN', store.read({ sessionId: 'none' }));
        await rejectsWith('DUR_SESSION_UNKNOWN', store.append({ sessionId: 'none', entries: [userEntry('x')] }));
        await rejectsWith('DUR_SESSION_UNKNOWN', store.patch({ key: 'agent:main:none', fields: { label: 'x' } }));
        await rejectsWith('DUR_SESSION_UNKNOWN', store.reset({ key: 'agent:main:none', reason: 'reset' }));
      },
    },
    ...REWRITE_CASES,
    {
      name: 'sessionFile names the transcript of a session and of no other',
      skip: ({ store }) => (store.sessionFile === undefined ? 'the store keeps no local files' : undefined),
      async run({ store }) {
        const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
        assert.equal(typeof (await store.sessionFile?.({ sessionId: session.sessionId })), 'string');
        assert.equal(await store.sessionFile?.({ sessionId: 'none' }), undefined);
      },
    },
  ],
};

async function texts(store: SessionStore, sessionId: string, part: { fromSeq?: number; limit?: number } = {}): Promise<unknown[]> {
  const { entries } = await store.read({ sessionId, ...part });
  return entries.map((stored) => (stored.type === 'message' ? stored.message.content : stored.type));
}
