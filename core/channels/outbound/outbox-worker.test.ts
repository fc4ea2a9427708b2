import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Channel, ChannelOutboundAdapter, OutboundEvent, OutboundTarget } from '../../../sdk/index.ts';
import { applyDefaults } from '../../config/defaults.ts';
import type { Generation } from '../../kernel/generation.ts';
import { createHookTable } from '../../kernel/hooks.ts';
import { silentLogger } from '../../logging/logger.ts';
import { type Outgoing, openState, type State } from '../../state/state.ts';
import type { OutgoingPayload } from './delivery.ts';
import { createOutboxWorker, type OutboxWorker } from './outbox-worker.ts';

const MINUTE = 60_000;

let dir: string;
let state: State;
let worker: OutboxWorker;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'setImmediate', 'clearImmediate'] });
  dir = mkdtempSync(join(tmpdir(), 'durar-outbox-'));
  state = openState({ dir });
});

afterEach(async () => {
  vi.useRealTimers();
  await worker?.stop(0);
  state.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Sent {
  kind: string;
  to: string;
  text?: string;
  key?: string | undefined;
  uncertain?: true;
  messageId?: string;
}

interface Service {
  sent: Sent[];
  /** Thrown by the next requests, one each. */
  failures: unknown[];
  isUp: boolean;
  /** Holds the requests to a conversation until it is called. */
  hold(to: string): () => void;
  hooks: ReturnType<typeof createHookTable>;
}

function serve(adapter: Partial<ChannelOutboundAdapter> = {}, config: Record<string, unknown> = {}): Service {
  const held = new Map<string, Promise<void>>();
  const hooks = createHookTable({ log: silentLogger, timeoutMs: 1_000 });
  const service: Service = {
    sent: [],
    failures: [],
    isUp: true,
    hooks,
    hold(to) {
      const { promise, resolve } = Promise.withResolvers<void>();
      held.set(to, promise);
      return () => {
        held.delete(to);
        resolve();
      };
    },
  };
  const request = (kind: string) => async (params: OutboundTarget & { text?: string; messageId?: string }) => {
    await held.get(params.to);
    const failure = service.failures.shift();
    if (failure !== undefined) throw failure;
    const { to, text, idempotencyKey: key, messageId, uncertain } = params;
    service.sent.push({
      kind,
      to,
      key,
      ...(uncertain === undefined ? {} : { uncertain }),
      ...(text === undefined ? {} : { text }),
      ...(messageId === undefined ? {} : { messageId }),
    });
    return { messageId: `m${service.sent.length}` };
  };
  const channel = {
    id: 'chat',
    meta: { label: 'Chat' },
    capabilities: { chatTypes: ['direct'] },
    config: { listAccountIds: () => ['default'], resolveAccount: () => ({}) },
    outbound: {
      deliveryMode: 'direct',
      sendText: request('text'),
      sendMedia: request('media'),
      editText: request('edit'),
      deleteMessage: request('delete'),
      ...adapter,
    },
  } as unknown as Channel;
  const generation = { config: applyDefaults(config), resolvedConfig: applyDefaults(config), hooks } as unknown as Generation;
  const opened = (conversation: { channel: string; accountId: string; to: string; threadId?: string | undefined }) => ({
    address: { ...conversation, generation, served: channel },
    release() {},
  });
  worker = createOutboxWorker({
    outbox: state.outbox,
    log: silentLogger,
    open: async (conversation) => (service.isUp ? opened(conversation) : undefined),
    reach: async (conversation) => opened(conversation),
    limits: () => ({ attempts: 4, maxAgeMs: 60 * MINUTE }),
    random: () => 0.5,
  });
  return service;
}

const message = (id: string, to: string, payload: OutgoingPayload): Outgoing => ({ id, channel: 'chat', accountId: 'default', to, payload });
const post = (...messages: Outgoing[]) => state.outbox.add(messages, Date.now());
const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const texts = ({ sent }: Service) => sent.map(({ text }) => text);
/** The process dies: nothing is told to anybody. The next one starts on the same files. */
const crash = async () => {
  const stopped = worker.stop(0);
  await settle(1);
  await stopped;
};

describe('order', () => {
  it('sends the messages of a conversation one after the other, also when the first one fails at first (RETRY-002)', async () => {
    const service = serve();
    service.failures.push(new Error('busy'));
    worker.start();
    post(message('a:0', 'amy', { text: 'one' }), message('a:1', 'amy', { text: 'two' }));
    await settle();
    expect(service.sent).toEqual([]);
    await settle(10_000);
    expect(texts(service)).toEqual(['one', 'two']);
    expect(state.outbox.counts()).toEqual({ pending: 0, sending: 0, dead: 0 });
  });

  it('lets no conversation wait for another one', async () => {
    const service = serve();
    const release = service.hold('amy');
    worker.start();
    post(message('a', 'amy', { text: 'slow' }), message('b', 'bob', { text: 'quick' }), message('c', 'bob', { text: 'quicker' }));
    await settle();
    expect(texts(service)).toEqual(['quick', 'quicker']);
    release();
    await settle();
    expect(texts(service)).toEqual(['quick', 'quicker', 'slow']);
  });

  it('gives every conversation its turn when more of them wait than are served at a time', async () => {
    const service = serve();
    const many = Array.from({ length: 100 }, (_, n) => `p${n}`);
    post(...many.flatMap((to) => [message(`${to}:0`, to, { text: '0' }), message(`${to}:1`, to, { text: '1' })]));
    worker.start();
    await settle(10);
    expect(service.sent).toHaveLength(200);
    for (const to of many) expect(service.sent.filter((one) => one.to === to).map(({ text }) => text)).toEqual(['0', '1']);
  });
});

describe('a message of several parts', () => {
  const long = 'First sentence here. Second sentence here. Third sentence here.';

  it('repeats no part that is out (RETRY-001, RETRY-003, RETRY-037)', async () => {
    const service = serve({ textChunkLimit: 25 });
    worker.start();
    const release = service.hold('amy');
    post(message('a:0', 'amy', { text: long }));
    await settle();
    service.failures.push(undefined, new Error('reset'));
    release();
    await settle();
    expect(texts(service)).toEqual(['First sentence here.']);
    await settle(10_000);
    expect(texts(service)).toEqual(['First sentence here.', 'Second sentence here.', 'Third sentence here.']);
    expect(new Set(service.sent.map(({ key }) => key)).size).toBe(3);
  });

  it('sends the media once when the text behind it fails (RETRY-037)', async () => {
    const service = serve();
    service.failures.push(undefined, new Error('reset'));
    worker.start();
    post(message('a:0', 'amy', { text: 'look', media: ['file:///1.png', 'file:///2.png'] }));
    await settle(10_000);
    expect(service.sent.map(({ kind, text }) => [kind, text])).toEqual([
      ['media', 'look'],
      ['media', ''],
    ]);
  });

  it('keeps over a restart what hooks and limits made of it', async () => {
    const service = serve({ textChunkLimit: 25 });
    let asked = 0;
    const count = ({ content }: OutboundEvent) => {
      asked += 1;
      return { content: `${content} (${asked})` };
    };
    service.hooks.tap({ owner: 'x', hook: 'message_sending', priority: 0, handler: count as never });
    service.failures.push(undefined, new Error('reset'));
    worker.start();
    post(message('a:0', 'amy', { text: long }));
    await settle();
    await crash();
    const next = serve({ textChunkLimit: 10 });
    worker.start();
    await settle(10_000);
    expect(texts(service)).toEqual(['First sentence here.']);
    expect(texts(next)).toEqual(['Second sentence here.', 'Third sentence here. (1)']);
  });
});

describe('failure', () => {
  it('gives up at once what can never be sent, and goes on with the next', async () => {
    const service = serve();
    service.failures.push(Object.assign(new Error('blocked by the user'), { retryable: false }));
    const ended: unknown[] = [];
    worker.onEnd((one, end) => ended.push([one.id, end.error ?? 'sent']));
    worker.start();
    post(message('a', 'amy', { text: 'one' }), message('b', 'amy', { text: 'two' }));
    await settle();
    expect(state.outbox.dead()).toMatchObject([{ id: 'a', lastError: 'blocked by the user' }]);
    expect(texts(service)).toEqual(['two']);
    expect(ended).toEqual([
      ['a', 'blocked by the user'],
      ['b', 'sent'],
    ]);
  });

  it('tries with growing pauses, then gives up; a person can have it tried anew', async () => {
    const service = serve();
    service.failures.push(...Array.from({ length: 4 }, (_, n) => new Error(`down ${n}`)));
    worker.start();
    post(message('a', 'amy', { text: 'one' }));
    const tries: number[] = [];
    for (let second = 0; second < 60; second += 1) {
      await settle(1_000);
      tries.push(state.outbox.get('a')?.attempts ?? 0);
    }
    expect(tries.indexOf(2)).toBeLessThan(tries.indexOf(3) - tries.indexOf(2));
    expect(state.outbox.dead()).toMatchObject([{ id: 'a', attempts: 4, lastError: 'down 3' }]);
    expect(state.outbox.retry('a', Date.now())).toBe(true);
    await settle();
    expect(texts(service)).toEqual(['one']);
  });

  it('waits as long as the service asks', async () => {
    const service = serve();
    service.failures.push(Object.assign(new Error('429'), { retryAfterMs: 90_000 }));
    worker.start();
    post(message('a', 'amy', { text: 'one' }));
    await settle(89_000);
    expect(service.sent).toEqual([]);
    await settle(2_000);
    expect(texts(service)).toEqual(['one']);
  });

  it('waits for an account that is not there without counting tries, and not for ever', async () => {
    const service = serve();
    service.isUp = false;
    worker.start();
    post(message('a', 'amy', { text: 'one' }));
    await settle(10 * MINUTE);
    expect(state.outbox.get('a')).toMatchObject({ state: 'pending', attempts: 0 });
    expect(worker.status()).toMatchObject({ pending: 1, waiting: 1 });
    service.isUp = true;
    await settle(1_000);
    expect(texts(service)).toEqual(['one']);
    service.isUp = false;
    post(message('b', 'amy', { text: 'two' }));
    await settle(61 * MINUTE);
    expect(state.outbox.dead()).toMatchObject([{ id: 'b', attempts: 0 }]);
  });

  it('lets the next one go when a person drops what waits', async () => {
    const service = serve();
    service.failures.push(Object.assign(new Error('429'), { retryAfterMs: 20 * MINUTE }));
    worker.start();
    post(message('a', 'amy', { text: 'one' }), message('b', 'amy', { text: 'two' }));
    await settle(1_000);
    expect(state.outbox.drop('a')).toBe(true);
    await settle(MINUTE);
    expect(texts(service)).toEqual(['two']);
  });

  it('ends a request that never answers', async () => {
    const service = serve();
    service.hold('amy');
    worker.start();
    post(message('a', 'amy', { text: 'one' }));
    await settle(5 * MINUTE + 10);
    expect(state.outbox.get('a')).toMatchObject({ state: 'pending', attempts: 1, lastError: expect.stringContaining('did not answer') });
  });
});

describe('a draft', () => {
  it('becomes the message by an edit, the rest follows', async () => {
    const service = serve({ textChunkLimit: 25 });
    worker.start();
    post(message('a', 'amy', { text: 'First sentence here. Second sentence here.', draftId: 'd1' }), message('b', 'amy', { text: '', draftId: 'd2' }));
    await settle();
    expect(service.sent.map(({ kind, text, messageId }) => [kind, text ?? messageId])).toEqual([
      ['edit', 'First sentence here.'],
      ['text', 'Second sentence here.'],
      ['delete', 'd2'],
    ]);
  });

  it('that cannot be edited any more is left, and the message sent', async () => {
    const service = serve();
    service.failures.push(Object.assign(new Error('message to edit not found'), { retryable: false }));
    worker.start();
    post(message('a', 'amy', { text: 'done', draftId: 'd1' }));
    await settle();
    expect(service.sent.map(({ kind, text }) => [kind, text])).toEqual([['text', 'done']]);
  });
});

describe('after a broken connection', () => {
  it('flags what the channel says may show twice, until it is out', async () => {
    const tries: Array<true | undefined> = [];
    serve({
      async sendText({ uncertain, onUncertain }) {
        tries.push(uncertain);
        if (tries.length > 1) return { messageId: 'm' };
        onUncertain?.();
        throw new Error('no connection');
      },
    });
    worker.start();
    post(message('a', 'amy', { text: 'one' }));
    await settle();
    expect(state.outbox.get('a')).toMatchObject({ state: 'pending', uncertain: true });
    expect(worker.status().repeated).toBe(1);
    await settle(10_000);
    expect(tries).toEqual([undefined, true]);
  });

  it('flags nothing where the service drops what it has', async () => {
    serve({
      idempotent: true,
      async sendText({ onUncertain }) {
        onUncertain?.();
        throw new Error('no connection');
      },
    });
    worker.start();
    post(message('a', 'amy', { text: 'one' }));
    await settle();
    expect(state.outbox.get('a')).toMatchObject({ state: 'pending', uncertain: false });
  });
});

describe('after a crash', () => {
  it('flags what may show twice, and only that', async () => {
    const service = serve();
    service.hold('amy');
    service.hold('bob');
    worker.start();
    post(message('a', 'amy', { text: 'one' }), message('b', 'bob', { text: 'edited', draftId: 'd1' }), message('c', 'amy', { text: 'two' }));
    await settle();
    await crash();
    expect(state.outbox.counts()).toEqual({ pending: 1, sending: 2, dead: 0 });
    const next = serve();
    worker.start();
    await settle();
    expect(texts(next).sort()).toEqual(['edited', 'one', 'two']);
    expect(worker.status()).toMatchObject({ repeated: 1 });
    const unsure = next.sent.filter(({ uncertain }) => uncertain).map(({ text }) => text);
    expect(unsure.sort()).toEqual(['edited', 'one']);
  });

  it('tells the channel so at every later try, and only of the part that may have gone out', async () => {
    const service = serve({ textChunkLimit: 10 });
    service.hold('amy');
    worker.start();
    post(message('a', 'amy', { text: 'part one\n\npart two' }));
    await settle();
    await crash();
    const next = serve({ textChunkLimit: 10 });
    next.failures.push(new Error('busy'));
    worker.start();
    await settle(10_000);
    expect(next.sent).toMatchObject([
      { text: 'part one', uncertain: true },
      { text: 'part two', key: 'a:1' },
    ]);
    expect(next.sent[1]).not.toHaveProperty('uncertain');
  });

  it('uses the same key again where the service drops what it has', async () => {
    const service = serve({ idempotent: true });
    service.hold('amy');
    worker.start();
    post(message('a', 'amy', { text: 'one' }));
    await settle();
    await crash();
    const next = serve({ idempotent: true });
    worker.start();
    await settle();
    expect(next.sent).toMatchObject([{ text: 'one', key: 'a:0' }]);
    expect(worker.status()).toMatchObject({ repeated: 0 });
  });
});

describe('stop', () => {
  it('sends first what has just come in', async () => {
    const service = serve();
    worker.start();
    post(message('a', 'amy', { text: 'one' }), message('b', 'amy', { text: 'two' }));
    const stopped = worker.stop(1_000);
    await settle(10);
    await stopped;
    expect(texts(service)).toEqual(['one', 'two']);
  });

  it('begins nothing after it', async () => {
    const service = serve();
    worker.start();
    await crash();
    post(message('a', 'amy', { text: 'one' }));
    await settle(60_000);
    expect(service.sent).toEqual([]);
  });
});

describe('deliver', () => {
  it('passes those that wait and tells the id', async () => {
    const service = serve();
    service.isUp = false;
    worker.start();
    post(message('a', 'amy', { text: 'waits' }));
    await settle();
    expect(await worker.deliver(message('b', 'amy', { text: 'now' }))).toEqual({ messageId: 'm1' });
    expect(texts(service)).toEqual(['now']);
  });

  it('throws what the channel throws and forgets the message, so that it may be sent again', async () => {
    const service = serve();
    service.failures.push(new Error('no such room'));
    worker.start();
    await expect(worker.deliver(message('b', 'amy', { text: 'now' }))).rejects.toThrow('no such room');
    expect(state.outbox.knows('b')).toBe(false);
    expect(await worker.deliver(message('b', 'amy', { text: 'now' }))).toEqual({ messageId: 'm1' });
  });

  it('sends one id once', async () => {
    const service = serve();
    const [first, second] = await Promise.all([worker.deliver(message('b', 'amy', { text: 'x' })), worker.deliver(message('b', 'amy', { text: 'x' }))]);
    expect(first).toEqual(second);
    expect(await worker.deliver(message('b', 'amy', { text: 'x' }))).toEqual({});
    expect(service.sent).toHaveLength(1);
  });

  it('is undefined when a hook cancelled it', async () => {
    const service = serve();
    service.hooks.tap({ owner: 'x', hook: 'message_sending', priority: 0, handler: () => ({ cancel: true }) });
    expect(await worker.deliver(message('b', 'amy', { text: 'x' }))).toBeUndefined();
    expect(service.sent).toEqual([]);
  });
});
