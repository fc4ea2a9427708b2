import { readdir, readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { createMachine, type GatewayProcess, type Machine, root, until } from '../e2e/gateway-process.ts';
import { createTelegramServer, type TelegramServer, TOKEN } from '../fixtures/telegram-server.ts';
import { type IrcServer, noNgircd, type Person, person, startNgircd } from '../irc-servers.ts';
import { generator } from './corpus.ts';

const LONG = process.env.DURAR_LONG === '1';
const SEED = Number(process.env.DURAR_SEED ?? 20_261_120);
const SIZE = LONG ? { messages: 10_000, sessions: 200, kills: 40, storms: 30, cuts: 15 } : { messages: 300, sessions: 20, kills: 4, storms: 2, cuts: 1 };
/** Messages without an answer, all sessions together, and of one on IRC; then people wait. */
const MOST_OPEN = LONG ? 600 : 80;
const MOST_OPEN_ON_IRC = 3;
/** ms; what the bot had on its socket so long before it died, it had time to keep */
const CERTAIN_MS = 2_000;
const WORD = /m(\d+)x(\d+)e/g;

type Place = 'telegram' | 'irc' | 'wire-once';
const PLACES: Place[] = [...(LONG && noNgircd === '' ? (['irc'] as const) : []), 'telegram', 'wire-once'];

/** The n-th message of a session. */
const word = (session: number, n: number) => `m${session}x${n}e`;
const wordsIn = (text: string) => Array.from(text.matchAll(WORD), ([all]) => all);
const sessionOf = (of: string) => Number(/^m(\d+)x/.exec(of)?.[1]);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let machine: Machine;
afterEach(() => machine.remove());

function config(channels: object): object {
  return {
    agents: { defaults: { model: 'offline/echo' } },
    session: { dmScope: 'per-channel-peer' },
    messages: {
      queue: { mode: 'collect', debounceMs: 20, cap: 1_000, byChannel: { irc: 'followup', 'wire-once': 'followup' } },
      inbound: { debounceMs: 0 },
    },
    plugins: { load: { paths: [join(root, 'test/fixtures/wire-once')] }, entries: { 'wire-once': { enabled: true } } },
    channels: { 'wire-once': { enabled: true, dmPolicy: 'open', allowFrom: ['*'] }, ...channels },
  };
}

interface Wired {
  to: string;
  text: string;
  key: string;
  /** epoch ms */
  at: number;
}

/** What the service has: the first of each key. */
async function wired(): Promise<Wired[]> {
  const text = await readFile(join(machine.stateDir, 'wire-once.log'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const all = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Wired);
  const keys = new Set<string>();
  return all.filter(({ key }) => !keys.has(key) && keys.add(key));
}

const sayOnce = (client: GatewayClient, session: number, n: number, text = word(session, n)) =>
  client.request('once.say' as never, { senderId: `p${session}`, messageId: `${session}-${n}`, text } as never) as Promise<{
    accepted: boolean;
    reason?: string;
  }>;

/** A way to a server that can be cut, and that knows what it brought to the gateway. */
async function createWay(target: { host: string; port: number }) {
  const open = new Set<Socket>();
  /** By word: when it was brought, and the connection that brought it. */
  const brought = new Map<string, { at: number; over: { endedAt?: number } }>();
  let ready = 0;
  let readyAt = 0;
  const server = createServer((near) => {
    const far = connect(target.port, target.host);
    const over: { endedAt?: number } = {};
    let rest = '';
    let isReady = false;
    open.add(near);
    far.on('data', (chunk) => {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!isReady && / 376 | 422 /.test(line)) {
          isReady = true;
          ready += 1;
          readyAt = Date.now();
        }
        if (line.includes(' PRIVMSG ')) for (const each of wordsIn(line)) brought.set(each, { at: Date.now(), over });
      }
      near.write(chunk);
    });
    near.on('data', (chunk) => far.write(chunk));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => {
        other.destroy();
        over.endedAt ??= Date.now();
        open.delete(near);
        if (isReady) ready -= 1;
        isReady = false;
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    isReady: () => ready > 0,
    /** When the last connection began, epoch ms. */
    readyAt: () => readyAt,
    cut() {
      for (const each of open) each.destroy();
    },
    /** What came over one connection of the gateway, in its order. */
    lives: () => [...Map.groupBy(brought, ([, { over }]) => over).values()].map((all) => all.map(([each]) => each)),
    /** Words that a gateway had and lived on with. */
    certain: () => [...brought].filter(([, { at, over }]) => (over.endedAt ?? Number.POSITIVE_INFINITY) - at > CERTAIN_MS).map(([each]) => each),
    async close() {
      for (const each of open) each.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The most memory that a process had, MB; 0 where the system does not tell. */
async function peakMb({ pid }: { pid?: number | undefined }): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

interface Turn {
  words: string[];
  runIds: string[];
}

/** Of every session its turns of people; throws when one has no answer, or two. */
async function transcripts(): Promise<Map<number, Turn[]>> {
  const dir = join(machine.stateDir, 'agents/main/sessions');
  const found = new Map<number, Turn[]>();
  for (const name of (await readdir(dir)).filter((each) => each.endsWith('.jsonl'))) {
    const messages = (await readFile(join(dir, name), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; message?: { role: string; content: unknown; runIds?: string[] } })
      .flatMap(({ type, message }) => (type === 'message' && message !== undefined ? [message] : []));
    expect(messages.map(({ role }) => role)).toEqual(messages.map((_message, index) => (index % 2 === 0 ? 'user' : 'assistant')));
    expect(messages.at(-1)?.role).toBe('assistant');
    const turns = messages.filter(({ role }) => role === 'user').map(({ content, runIds = [] }) => ({ words: wordsIn(JSON.stringify(content)), runIds }));
    const sessions = new Set(turns.flatMap(({ words }) => words.map(sessionOf)));
    expect([...sessions], name).toHaveLength(1);
    const [session = -1] = sessions;
    expect(found.has(session)).toBe(false);
    found.set(session, turns);
  }
  return found;
}

describe(`${SIZE.messages} messages over ${SIZE.sessions} sessions and ${PLACES.length} channels, ${SIZE.kills} times kill -9${LONG ? noNgircd : ''}`, () => {
  let telegram: TelegramServer;
  let irc: IrcServer | undefined;
  let way: Awaited<ReturnType<typeof createWay>> | undefined;
  const people: Person[] = [];

  beforeAll(async () => {
    telegram = await createTelegramServer();
    if (!PLACES.includes('irc')) return;
    irc = await startNgircd();
    way = await createWay(irc);
  }, 60_000);
  afterAll(async () => {
    for (const each of people) each?.leave();
    await way?.close();
    await irc?.remove();
    await telegram.close();
  });

  it('loses none, answers none twice and keeps the order of each session', { timeout: 1_500_000 }, async () => {
    const random = generator(SEED);
    const began = performance.now();
    const open = { dmPolicy: 'open', allowFrom: ['*'] };
    const ircBlock = { host: '127.0.0.1', port: way?.port, tls: false, nick: 'durar', messagesPerSecond: 500, messageBurst: 500 };
    machine = await createMachine(
      config({
        telegram: { ...open, botToken: TOKEN, apiRoot: telegram.url, retry: { minDelayMs: 5, maxDelayMs: 100 } },
        ...(way === undefined ? {} : { irc: { ...ircBlock, dmPolicy: 'open', allowFrom: ['*!*@127.0.0.1'] } }),
      }),
    );
    const places = Array.from({ length: SIZE.sessions }, (_, session) => PLACES[session % PLACES.length] as Place);
    for (const [session, place] of places.entries()) {
      if (irc !== undefined && place === 'irc') people[session] = await person(irc, `p${session}`);
    }
    let gateway: GatewayProcess | undefined = await machine.start();
    let client: GatewayClient | undefined = await machine.connect(gateway);
    const idleMb = await peakMb(gateway.child);
    const lives: number[] = [];
    let outputs = '';

    /** Everything that people were sent, in the order of each. */
    const delivered = async (): Promise<Map<number, string[]>> => {
      const texts = [
        ...telegram.messages.map(({ text = '' }) => text),
        ...people.flatMap((each) => each?.heard ?? []),
        ...(await wired()).map(({ text }) => text),
      ].map(wordsIn);
      return Map.groupBy(texts.flat(), sessionOf);
    };
    let sent = 0;
    let answered = new Set<string>();
    const answersOf = (session: number, count: number) => Array.from({ length: count }, (_, n) => answered.has(word(session, n))).filter(Boolean).length;
    /** When words were said on IRC, epoch ms. */
    const saidOnIrc = new Map<string, number>();
    /** Said on IRC to a bot that is gone: nobody can tell whether it heard them. */
    const gone = () => [...saidOnIrc].filter(([one, at]) => at < (way?.readyAt() ?? 0) && !answered.has(one)).length;
    let mostOpen = 0;
    let lately = 0;
    const counting = setInterval(
      async () => {
        answered = new Set([...(await delivered()).values()].flat());
        lately = sent - answered.size - gone();
        mostOpen = Math.max(mostOpen, lately);
      },
      LONG ? 500 : 100,
    );

    async function say(session: number, n: number): Promise<void> {
      const text = word(session, n);
      const place = places[session];
      if (place === 'irc') {
        await until(() => way?.isReady() === true, 'the bot on IRC', 120_000);
        saidOnIrc.set(text, Date.now());
        people[session]?.say('durar', text);
      } else if (place === 'telegram') {
        const from = { id: 9_000 + session, is_bot: false, first_name: `P${session}` };
        const message = { message_id: session * 1_000 + n + 1, date: 1, from, chat: { ...from, type: 'private' }, text };
        const update = telegram.push({ message });
        if (random() < 0.1) telegram.push({ update_id: update, message });
      } else {
        const isTwice = random() < 0.1;
        for (let times = isTwice ? 2 : 1; times > 0; ) {
          const receipt = client === undefined ? undefined : await sayOnce(client, session, n).catch(() => undefined);
          if (receipt === undefined) await pause(50);
          else times -= 1;
          if (receipt !== undefined) expect(receipt.accepted || receipt.reason === 'duplicate', JSON.stringify(receipt)).toBe(true);
        }
      }
    }

    const each = Math.ceil(SIZE.messages / SIZE.sessions);
    /** Goes on until enough is answered, as IRC does not bring what a bot did not hear. */
    async function chat(session: number): Promise<void> {
      const isOpen = (n: number) => !answered.has(word(session, n)) && (saidOnIrc.get(word(session, n)) ?? 0) >= (way?.readyAt() ?? 0);
      for (let n = 0; ; n += 1) {
        const mayGoOn = () => {
          const count = Array.from({ length: n }, (_, one) => one).filter(isOpen).length;
          const done = answersOf(session, n);
          if (done >= each) return 'done';
          return count < MOST_OPEN_ON_IRC && done + count < each && lately < MOST_OPEN && 'next';
        };
        if ((await until(mayGoOn, `answers on IRC to ${session}`, 600_000)) === 'done') return;
        await say(session, n);
        sent += 1;
        lately += 1;
        if (random() < 0.5) await pause(random() * 4_000);
      }
    }
    const everybody = Promise.all(
      places.map(async (place, session) => {
        if (place === 'irc') return chat(session);
        for (let n = 0; n < each; n += 1) {
          await until(() => lately < MOST_OPEN, 'answers', 600_000);
          await say(session, n);
          sent += 1;
          lately += 1;
          // alone, or in a burst
          if (random() < 0.5) await pause(random() * (LONG ? 4_000 : 150));
        }
      }),
    );
    const progress = (share: number) => until(() => answered.size >= SIZE.messages * share, `${share} of the answers`, 900_000);
    const storms = (async () => {
      for (let storm = 0; storm < SIZE.storms; storm += 1) {
        await progress((storm + random()) / (SIZE.storms + 1));
        const refusal = { error_code: 429, description: 'Too Many Requests: retry after 1', parameters: { retry_after: 1 } };
        telegram.fail('sendMessage', ...Array.from({ length: 12 }, () => refusal));
        telegram.fail('getUpdates', 'reset');
      }
    })();
    const cuts = (async () => {
      for (let cut = 0; cut < SIZE.cuts; cut += 1) {
        await progress((cut + random()) / (SIZE.cuts + 1));
        way?.cut();
      }
    })();
    for (let kill = 0; kill < SIZE.kills; kill += 1) {
      await progress((kill + random()) / (SIZE.kills + 1));
      await pause(random() * 300);
      const dying = gateway;
      client?.close();
      client = undefined;
      gateway = undefined;
      lives.push(await peakMb(dying?.child ?? {}));
      await dying?.stop('SIGKILL');
      outputs += dying?.output() ?? '';
      gateway = await machine.start();
      client = await machine.connect(gateway);
      if (LONG)
        process.stderr.write(
          `kill ${kill + 1}: ${sent} sent, ${answered.size} answered, ${gone()} gone on IRC, ${lives.at(-1)} MB, ${Math.round((performance.now() - began) / 1000)} s\n`,
        );
    }
    await Promise.all([everybody, storms, cuts]);
    await until(() => telegram.pending().length === 0, 'the last updates', 60_000);
    const counts = await until(
      async () => {
        const { state } = await queueOf(client as GatewayClient);
        const { waiting = 0, started = 0 } = state.inbox;
        const { pending = 0, sending = 0 } = state.outbox;
        return waiting + started + pending + sending === 0 ? state : undefined;
      },
      'an empty queue',
      300_000,
    );
    clearInterval(counting);
    const seconds = (performance.now() - began) / 1000;
    lives.push(await peakMb(gateway?.child ?? {}));
    await pause(200);
    const shown = await delivered();
    client?.close();
    await gateway?.stop();
    outputs += gateway?.output() ?? '';

    const turns = await transcripts();
    const flagged = new Set(Array.from(outputs.matchAll(/may have gone out before .*?"?id"?[=:]\s*"?([^\s",}]+):\d+/g), ([, id]) => id));
    const certain = new Set(way?.certain());
    const lost: string[] = [];
    const keptWords = new Set([...turns.values()].flatMap((own) => own.flatMap(({ words }) => words)));
    // of what one person said over one connection only the end may be missing
    for (const life of way?.lives() ?? []) {
      for (const said of Map.groupBy(life, sessionOf).values()) {
        const end = said.findLastIndex((one) => keptWords.has(one));
        lost.push(...said.slice(0, Math.max(0, end)).filter((one) => !keptWords.has(one)));
      }
    }
    const doubled: string[] = [];
    const outOfOrder: number[] = [];
    const unflagged: string[] = [];
    let repeated = 0;
    let kept = 0;
    for (const [session, place] of places.entries()) {
      const own = turns.get(session) ?? [];
      const written = own.flatMap(({ words }) => words);
      kept += new Set(written).size;
      const all = Array.from({ length: place === 'irc' ? 10 * each : each }, (_, n) => word(session, n));
      lost.push(...all.filter((one) => !written.includes(one) && (place !== 'irc' || certain.has(one))));
      doubled.push(...written.filter((one, index) => written.indexOf(one) !== index));
      const heard = shown.get(session) ?? [];
      const once = [...new Set(heard)];
      lost.push(...written.filter((one) => !heard.includes(one)));
      if (JSON.stringify(written) !== JSON.stringify(all.filter((one) => written.includes(one)))) outOfOrder.push(session);
      if (JSON.stringify(once) !== JSON.stringify(written)) outOfOrder.push(session);
      const again = new Set(heard.filter((one, index) => heard.indexOf(one) !== index));
      repeated += again.size;
      const known = new Set(own.filter(({ runIds }) => runIds.some((id) => flagged.has(id))).flatMap(({ words }) => words));
      unflagged.push(...[...again].filter((one) => place === 'wire-once' || !known.has(one)));
    }
    const figures = {
      ...{ sent, kept, kills: lives.length - 1, storms: SIZE.storms, cuts: way === undefined ? 0 : SIZE.cuts, seconds: Math.round(seconds) },
      ...{ lost, doubled, outOfOrder, repeated, unflagged, flags: flagged.size },
      ...{
        turns: [...turns.values()].flat().length,
        notTakenByIrc: sent - kept,
        certainOnIrc: certain.size,
        mostOpen,
        idleMb,
        peakMb: Math.max(...lives),
        counts,
      },
    };
    if (LONG) process.stderr.write(`${JSON.stringify(figures, undefined, 1)}\n`);
    expect(figures).toMatchObject({
      lost: [],
      doubled: [],
      outOfOrder: [],
      unflagged: [],
      counts: { inbox: { dead: 0 }, outbox: { dead: 0 } },
    });
    expect(kept).toBeGreaterThanOrEqual(SIZE.messages);
    // known on Linux alone
    if (idleMb > 0) expect(figures.peakMb).toBeLessThan(3 * idleMb);
  });
});

describe('a session whose model never answers', () => {
  it('delays no other', { timeout: 300_000 }, async () => {
    const others = 50;
    const rounds = LONG ? 6 : 2;
    machine = await createMachine(config({}));
    const gateway = await machine.start();
    const client = await machine.connect(gateway);
    let n = 0;

    /** How long each of them waits for its answer, ms. */
    async function round(): Promise<number[]> {
      n += 1;
      const asked = new Map<string, number>();
      await Promise.all(
        Array.from({ length: others }, (_, session) => {
          asked.set(word(session, n), Date.now());
          return sayOnce(client, session, n);
        }),
      );
      const ends = await until(async () => {
        const own = (await wired()).flatMap(({ text, at }) => wordsIn(text).map((each): [string, number] => [each, at]));
        return [...asked.keys()].every((each) => own.some(([one]) => one === each)) ? new Map(own) : undefined;
      }, 'every answer');
      return Array.from(asked, ([each, at]) => (ends.get(each) ?? Number.POSITIVE_INFINITY) - at);
    }

    // the first turn of a session opens it
    await round();
    const free: number[] = [];
    const beside: number[] = [];
    for (let turn = 0; turn < rounds; turn += 1) {
      free.push(...(await round()));
      const key = `agent:main:wire-once:direct:p${others + turn}`;
      await sayOnce(client, others + turn, 0, '[[offline: stall]]');
      await until(async () => (await running(client)) === 1, 'the turn that does not end');
      // those behind it wait, and take no place of others
      for (let behind = 1; behind <= 20; behind += 1) await sayOnce(client, others + turn, behind);
      beside.push(...(await round()));
      expect(await running(client)).toBe(1);
      await client.request('chat.abort', { sessionKey: key });
      await until(async () => (await held(client)) === 0, 'the end of those behind it');
    }
    const ratio = median(beside) / median(free);
    if (LONG) process.stderr.write(`a stuck session: median ${median(free)} ms without it, ${median(beside)} ms beside it, ratio ${ratio.toFixed(2)}\n`);
    expect(ratio).toBeLessThan(2);
    client.close();
    await gateway.stop();
  });
});

function median(all: readonly number[]): number {
  return all.toSorted((one, other) => one - other)[Math.floor(all.length / 2)] ?? Number.NaN;
}

interface QueueReport {
  state: { inbox: Record<string, number>; outbox: Record<string, number>; lanes: Array<{ lane: string; running: number }> };
}

const queueOf = (client: GatewayClient) => client.request('queue.list', {}) as unknown as Promise<QueueReport>;

/** Messages without an answer. */
async function held(client: GatewayClient): Promise<number> {
  const { state } = await queueOf(client);
  return Object.values(state.inbox).reduce((sum, count) => sum + count, 0);
}

/** Turns that run. */
async function running(client: GatewayClient): Promise<number> {
  const { state } = await queueOf(client);
  return state.lanes.find(({ lane }) => lane === 'main')?.running ?? 0;
}
