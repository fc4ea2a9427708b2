import assert from 'node:assert/strict';
import type { AgentMessage } from '../messages.ts';
import type { ContextEngine } from '../ports/context-engine.ts';
import type { ContractContext, ContractSuite } from './contract.ts';
import { conversation, entryId, reply, toolCall, toolResult, user } from './conversation.ts';
import { BUDGET, bootstrap, checkIngest, checkMessages, checkPairs, compaction, feed, session } from './engine-session.ts';

/** What the suite needs: a new engine for each case, with a store of its own. */
export interface ContextEngineContext extends ContractContext {
  engine: ContextEngine;
  /** The id it is registered under. */
  id: string;
  /** It was written for that line of hosts, whose contract knows neither entry ids nor replays, and whose host mends the pairs of tool calls. */
  line?: 'ancestor';
}

/** Why an engine of that line is not asked for what its contract could not promise. */
export const HOST_KEEPS = "engines of the ancestor's line are told neither entry ids nor replays; the host's own cursor gives them each entry once";

const OPTIONAL = ['bootstrap', 'ingestBatch', 'afterTurn', 'maintain', 'prepareSubagentSpawn', 'onSubagentEnded', 'onSessionEnded', 'dispose'] as const;

/** What every context engine promises. Runs without a gateway: the host's part of `runtimeContext` is played by the suite. */
export const contextEngineContract: ContractSuite<ContextEngineContext> = {
  port: 'context engine',
  cases: [
    {
      name: 'info names the engine as it is registered',
      ids: ['ENGINE-047', 'ENGINE-055'],
      async run({ engine, id }) {
        assert.equal(engine.info?.id, id, 'info.id must be the registered id');
        assert.equal(typeof engine.info.name, 'string', 'info.name must be a text');
        assert.notEqual(engine.info.name, '', 'info.name must not be empty');
        if (engine.info.version !== undefined) assert.equal(typeof engine.info.version, 'string');
        if (engine.info.ownsCompaction !== undefined) assert.equal(typeof engine.info.ownsCompaction, 'boolean');
      },
    },
    {
      name: 'the required members are functions, and so are the optional ones that are there',
      ids: ['ENGINE-056', 'ENGINE-057', 'ENGINE-058', 'ENGINE-074'],
      async run({ engine }) {
        for (const name of ['ingest', 'assemble', 'compact'] as const) assert.equal(typeof engine[name], 'function', `${name} must be a function`);
        for (const name of OPTIONAL) {
          if (engine[name] !== undefined) assert.equal(typeof engine[name], 'function', `${name} must be a function`);
        }
      },
    },
    {
      name: 'ingest says whether it took the message, and takes an entry once',
      ids: ['ENGINE-019', 'ENGINE-048', 'ENGINE-049'],
      async run({ engine }) {
        const params = { ...session('twice'), message: user('remember me'), entryId: '0a0b0c0d', seq: 1 };
        await bootstrap(engine, 'twice', []);
        const first = await engine.ingest(params);
        checkIngest(first);
        const again = await engine.ingest({ ...params, replay: true });
        checkIngest(again);
        if (first.ingested) assert.equal(again.ingested, false, 'the same entryId again must not be taken again');
      },
    },
    {
      name: 'assemble returns known messages, a finite estimate and no other addition than a text',
      ids: ['ENGINE-022', 'ENGINE-050', 'ENGINE-051', 'ENGINE-059', 'ENGINE-060', 'ENGINE-063'],
      async run({ engine }) {
        const messages = conversation(3);
        await feed(engine, 'shape', messages);
        const result = await engine.assemble({ ...session('shape'), messages: [...messages], tokenBudget: BUDGET, model: 'offline/echo', prompt: 'and now?' });
        checkMessages(result.messages);
        assert.equal(typeof result.estimatedTokens, 'number', 'estimatedTokens must be a number');
        assert.ok(Number.isFinite(result.estimatedTokens) && result.estimatedTokens >= 0, 'estimatedTokens must be finite and not negative');
        if (result.systemPromptAddition !== undefined) assert.equal(typeof result.systemPromptAddition, 'string', 'systemPromptAddition must be a text');
      },
    },
    {
      name: 'the newest user message is the last user message of the context',
      ids: ['ENGINE-002', 'ENGINE-022'],
      async run({ engine }) {
        const messages = [...conversation(2), user('the newest question')];
        await feed(engine, 'order', messages);
        const result = await engine.assemble({ ...session('order'), messages: [...messages], tokenBudget: BUDGET, prompt: 'the newest question' });
        const last = result.messages.findLast((message) => message.role === 'user');
        assert.ok(JSON.stringify(last?.content ?? '').includes('the newest question'), 'the user message that started the run must be kept, as the last one');
      },
    },
    {
      name: 'a tool call keeps its result, right behind it',
      ids: ['ENGINE-022', 'ENGINE-059'],
      async run({ engine }) {
        const messages = [user('look it up'), toolCall('call-1'), toolResult('call-1'), user('and?')];
        await feed(engine, 'pairs', messages);
        const result = await engine.assemble({ ...session('pairs'), messages: [...messages], tokenBudget: BUDGET });
        checkPairs(result.messages);
      },
    },
    {
      name: 'a conversation that fits the budget is not made larger than the budget',
      ids: ['ENGINE-022'],
      async run({ engine }) {
        const messages = conversation(10);
        await feed(engine, 'budget', messages);
        const tokenBudget = 4_000;
        const result = await engine.assemble({ ...session('budget'), messages: [...messages], tokenBudget });
        const tokens = Math.ceil(JSON.stringify(result.messages.map((message) => message.content)).length / 4);
        assert.ok(tokens <= tokenBudget * 1.125, `about ${tokens} tokens for a budget of ${tokenBudget}`);
      },
    },
    {
      name: 'a context within the budget is not estimated above it',
      ids: ['ENGINE-061'],
      async run({ engine }) {
        const messages = conversation(2);
        await feed(engine, 'estimate', messages);
        const tokenBudget = 4_000;
        const { estimatedTokens } = await engine.assemble({ ...session('estimate'), messages: [...messages], tokenBudget });
        const reason = `estimatedTokens is ${estimatedTokens} for ${messages.length} short messages; an estimate above the budget makes the host compact after each turn`;
        assert.ok(estimatedTokens <= tokenBudget, reason);
      },
    },
    {
      name: 'an empty session can be assembled',
      ids: ['ENGINE-021'],
      async run({ engine }) {
        await bootstrap(engine, 'empty', []);
        const result = await engine.assemble({ ...session('empty'), messages: [], tokenBudget: BUDGET });
        checkMessages(result.messages);
      },
    },
    {
      name: 'no method changes what it was given',
      ids: ['ENGINE-034'],
      async run({ engine }) {
        const messages = conversation(3);
        const before = structuredClone(messages);
        await feed(engine, 'untouched', messages);
        const given = [...messages];
        const params = Object.freeze({ ...session('untouched'), messages: Object.freeze(given) as AgentMessage[], tokenBudget: BUDGET });
        await engine.assemble(params);
        assert.deepEqual(messages, before, 'the messages were changed');
      },
    },
    {
      name: 'compact reports what it did',
      ids: ['ENGINE-052', 'ENGINE-053', 'ENGINE-058'],
      async run({ engine }) {
        await feed(engine, 'compact', conversation(20));
        const result = await engine.compact(compaction('compact'));
        assert.equal(typeof result?.ok, 'boolean', 'ok must be a boolean');
        assert.equal(typeof result.compacted, 'boolean', 'compacted must be a boolean');
        if (result.reason !== undefined) assert.equal(typeof result.reason, 'string');
        if (result.result !== undefined) assert.equal(typeof result.result.tokensBefore, 'number', 'result.tokensBefore must be a number');
      },
    },
    {
      name: 'what compact rejects with is an error, and the engine goes on after it',
      ids: ['ENGINE-084'],
      async run({ engine }) {
        await feed(engine, 'refused', conversation(5));
        const params = { ...compaction('refused'), runtimeContext: { compactSession: () => Promise.reject(new Error('the summary failed')) } };
        await engine.compact(params).catch((error: unknown) => assert.ok(error instanceof Error, 'an engine rejects with an Error'));
        const result = await engine.assemble({ ...session('refused'), messages: conversation(5), tokenBudget: BUDGET });
        checkMessages(result.messages);
      },
    },
    {
      name: 'bootstrap may run again for the same session',
      ids: ['ENGINE-064', 'ENGINE-065'],
      skip: ({ engine }) => (engine.bootstrap === undefined ? 'it has no bootstrap' : undefined),
      async run({ engine }) {
        const messages = conversation(4);
        const params = { ...session('boot'), messages };
        const first = await engine.bootstrap?.(params);
        assert.equal(typeof first?.bootstrapped, 'boolean', 'bootstrapped must be a boolean');
        const once = await engine.assemble({ ...session('boot'), messages: [...messages], tokenBudget: BUDGET });
        const second = await engine.bootstrap?.(params);
        assert.equal(typeof second?.bootstrapped, 'boolean', 'bootstrapped must be a boolean');
        const twice = await engine.assemble({ ...session('boot'), messages: [...messages], tokenBudget: BUDGET });
        assert.equal(twice.messages.length, once.messages.length, 'a second bootstrap must not double the history');
      },
    },
    {
      name: 'a batch says how many messages it took, and takes them once',
      ids: ['ENGINE-066', 'ENGINE-067'],
      skip: ({ engine, line }) => (engine.ingestBatch === undefined ? 'it has no ingestBatch' : line === 'ancestor' ? HOST_KEEPS : undefined),
      async run({ engine }) {
        await bootstrap(engine, 'batch', []);
        const messages = conversation(2);
        const entries = messages.map((_message, index) => ({ entryId: entryId(index), seq: index + 1 }));
        const first = await engine.ingestBatch?.({ ...session('batch'), messages, entries });
        assert.equal(typeof first?.ingestedCount, 'number', 'ingestedCount must be a number');
        const again = await engine.ingestBatch?.({ ...session('batch'), messages, entries, replay: true });
        if ((first?.ingestedCount ?? 0) > 0) assert.equal(again?.ingestedCount, 0, 'the same entries again must not be taken again');
      },
    },
    {
      name: 'afterTurn takes the whole history',
      ids: ['ENGINE-025', 'ENGINE-068'],
      skip: ({ engine }) => (engine.afterTurn === undefined ? 'it has no afterTurn' : undefined),
      async run({ engine }) {
        const messages = conversation(2);
        await feed(engine, 'after', messages);
        await engine.afterTurn?.({ ...session('after'), messages, prePromptMessageCount: 2, tokenBudget: BUDGET });
      },
    },
    {
      name: 'maintain says what it changed',
      ids: ['ENGINE-078'],
      skip: ({ engine }) => (engine.maintain === undefined ? 'it has no maintain' : undefined),
      async run({ engine }) {
        await feed(engine, 'maintain', conversation(2));
        const rewriteTranscriptEntries = async () => ({ changed: false, bytesFreed: 0, rewrittenEntries: 0, reason: 'not now' });
        const result = await engine.maintain?.({ ...session('maintain'), reason: 'turn', runtimeContext: { rewriteTranscriptEntries } });
        assert.equal(typeof result?.changed, 'boolean', 'changed must be a boolean');
        assert.equal(typeof result?.bytesFreed, 'number', 'bytesFreed must be a number');
        assert.equal(typeof result?.rewrittenEntries, 'number', 'rewrittenEntries must be a number');
      },
    },
    {
      name: 'nothing of a session that ended is shown again',
      skip: ({ engine }) => (engine.onSessionEnded === undefined ? 'it has no onSessionEnded' : undefined),
      async run({ engine }) {
        await feed(engine, 'ended', [user('what is the word?'), reply('the word is zanzibar')]);
        await engine.onSessionEnded?.({ ...session('ended'), reason: 'deleted' });
        await engine.onSessionEnded?.({ ...session('ended'), reason: 'deleted' });
        const messages = [user('what is the word?')];
        await feed(engine, 'ended', messages);
        const result = await engine.assemble({ ...session('ended'), messages, tokenBudget: BUDGET, prompt: 'what is the word?' });
        assert.ok(!JSON.stringify(result).includes('zanzibar'), 'what the ended session said is still shown');
      },
    },
    {
      name: 'sessions at the same time do not mix',
      ids: ['ENGINE-001'],
      async run({ engine }) {
        const names = ['red', 'green', 'blue', 'white'];
        const contexts = await Promise.all(
          names.map(async (name) => {
            const messages = [user(`my colour is ${name}`), reply(`noted: ${name}`), user(`which colour? (${name})`)];
            await feed(engine, name, messages);
            return engine.assemble({ ...session(name), messages: [...messages], tokenBudget: BUDGET });
          }),
        );
        for (const [index, name] of names.entries()) {
          const text = JSON.stringify(contexts[index]?.messages);
          assert.ok(text.includes(name), `the session '${name}' lost its own messages`);
          for (const other of names) if (other !== name) assert.ok(!text.includes(other), `the session '${name}' sees '${other}'`);
        }
      },
    },
    {
      name: 'a call with an aborted signal settles',
      async run({ engine }) {
        const controller = new AbortController();
        controller.abort(new Error('the run was aborted'));
        const call = engine.assemble({ ...session('aborted'), messages: conversation(1), tokenBudget: BUDGET, signal: controller.signal });
        await call.then(
          (result) => checkMessages(result.messages),
          (error: unknown) => assert.ok(error instanceof Error, 'an engine rejects with an Error'),
        );
      },
    },
    {
      name: 'params that it does not know are ignored',
      async run({ engine }) {
        const params = { ...session('later'), messages: conversation(1), tokenBudget: BUDGET, addedByALaterHost: { any: 'thing' } };
        const result = await engine.assemble(params);
        checkMessages(result.messages);
      },
    },
    {
      name: 'dispose releases the engine, with sessions open or without',
      ids: ['ENGINE-071', 'ENGINE-073'],
      skip: ({ engine }) => (engine.dispose === undefined ? 'it has no dispose' : undefined),
      async run({ engine }) {
        await feed(engine, 'open', conversation(1));
        await engine.dispose?.();
      },
    },
  ],
};
