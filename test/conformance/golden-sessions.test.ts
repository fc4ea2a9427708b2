import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ContextEngine, Tool } from '../../sdk/index.ts';
import { SESSION_ABSENT, SESSION_ANSWERS } from './deviations.ts';
import type { Socket } from './harness.ts';
import { ask, finished, startSessionHost } from './session-host.ts';

interface RecordedFrame {
  type: string;
  id?: string;
  event?: string;
  method?: string;
  params?: Record<string, unknown>;
  payload?: Record<string, unknown>;
}

const folder = join(import.meta.dirname, 'frames');

/** The frames of a recording; what it had to rename has its wire name again. */
function recording(number: string): RecordedFrame[] {
  const file = readdirSync(folder).find((name) => name.startsWith(`${number}-`)) ?? '';
  const text = readFileSync(join(folder, file), 'utf8')
    .replaceAll('"__Durar"', '"__openclaw"')
    .replaceAll('"DurarAbort"', '"openclawAbort"')
    .replaceAll('"provider": "Durar"', '"provider": "openclaw"');
  return (JSON.parse(text) as { frames: Array<{ frame?: RecordedFrame }> }).frames.flatMap(({ frame }) => (frame === undefined ? [] : [frame]));
}

const events = (frames: readonly RecordedFrame[], name: string) => frames.flatMap(({ event, payload }) => (event === name && payload ? [payload] : []));
const heard = (socket: Socket, name: string) => events(socket.frames as RecordedFrame[], name);

/** Ids, times, sizes and the words of a model differ from run to run; of these only the type is compared. */
const VARIES = new Set(
  'ts toolCallId timestamp updatedAt abortedLastRun startedAt endedAt runtimeMs sessionId sessionFile path archived id messageId runId text delta derivedTitle lastMessagePreview model modelProvider provider api contextTokens inputTokens outputTokens totalTokens input output cacheRead cacheWrite total kept seq messageSeq thinkingLevel content status'.split(
    ' ',
  ),
);

/** Where ours is not as recorded: members that are missing, of another type, or of another value. */
function differences(recorded: unknown, ours: unknown, path = '', key = ''): string[] {
  if (Array.isArray(recorded)) {
    // a text may stand for a list of one text
    if (!Array.isArray(ours)) return key === 'content' && typeof ours === 'string' ? [] : [`${path}: not a list`];
    return recorded.length > 0 && ours.length > 0 ? differences(recorded[0], ours[0], `${path}[]`) : [];
  }
  if (typeof recorded === 'object' && recorded !== null) {
    if (typeof ours !== 'object' || ours === null) return [`${path}: ${typeof ours}`];
    return Object.entries(recorded).flatMap(([name, value]) => {
      const at = path === '' ? name : `${path}.${name}`;
      if (SESSION_ABSENT[name] !== undefined) return [];
      const mine = (ours as Record<string, unknown>)[name];
      return mine === undefined ? [`${at}: missing`] : differences(value, mine, at, name);
    });
  }
  if (typeof recorded !== typeof ours) return [`${path}: ${typeof ours}, recorded ${typeof recorded}`];
  const plain = (value: unknown) => String(value).replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'uuid');
  return plain(recorded) === plain(ours) || VARIES.has(key) ? [] : [`${path}: ${String(ours)}, recorded ${String(recorded)}`];
}

/** The recordings show the last run's end while the next one runs. */
const ofRunning = (line: string) => !/(?:endedAt|runtimeMs): missing$/.test(line);

const status: Tool = {
  name: 'session_status',
  description: 'status',
  parameters: { type: 'object' },
  execute: async () => ({ content: [{ type: 'text', text: 'fine' }] }),
};
/** Compacts without a model: the scripted one would follow what it is to summarise. */
const engine: ContextEngine = {
  info: { id: 'fixture', name: 'Fixture', version: '1.0.0' },
  ingest: async () => ({ ingested: true }),
  assemble: async ({ messages }) => ({ messages, estimatedTokens: 1 }),
  compact: async () => ({ ok: true, compacted: true, result: { tokensBefore: 1 } }),
};
const WORDS = '[[offline: say word0 word1 word2 word3]]';
const SLOW = '[[offline: say word0 word1]][[offline: stall]]';

describe('recorded sessions', () => {
  it('a run as a follower sees it (17, PROTO-246, PROTO-249, PROTO-251, PROTO-269)', async () => {
    const frames = recording('17');
    const { dial } = await startSessionHost();
    const [socket, follower] = await Promise.all([dial(), dial()]);
    await ask(follower, 'sessions.subscribe');
    await socket.call('agent', { message: WORDS, sessionKey: 'agent:main:main', idempotencyKey: 'run-agent-1' }, 'op-1');
    await follower.next(({ event, payload }) => event === 'sessions.changed' && (payload as { phase?: string }).phase === 'end');
    for (const name of ['sessions.changed', 'session.message']) {
      const [theirs, ours] = [events(frames, name), heard(follower, name)];
      const steps = (list: typeof ours) => list.map(({ reason, phase, message }) => reason ?? phase ?? (message as { role: string }).role);
      expect(steps(ours)).toEqual(steps(theirs));
      for (const [index, payload] of theirs.entries()) {
        // the row gets its totals when the turn ends
        const ofTurn = (line: string) => payload.phase !== 'end' && /(?:totalTokens\w*|estimatedCostUsd): /.test(line);
        expect(differences(payload, ours[index], `${name} ${index}`).filter((line) => !ofTurn(line))).toEqual([]);
      }
    }
    const said = heard(follower, 'agent');
    expect(differences(events(frames, 'agent').at(-1), said.at(-1))).toEqual([]);
    expect(said.map(({ seq }) => seq)).toEqual(said.map((_, index) => index + 1));
    const last = heard(follower, 'chat').at(-1);
    expect(differences(events(frames, 'chat').at(-1), last)).toEqual([]);
    expect(last).toMatchObject({ state: 'final', message: { content: [{ text: 'word0 word1 word2 word3' }] } });
  });

  it('tool and message events of a session (20, 23, PROTO-250)', async () => {
    const { dial } = await startSessionHost({ tools: [status] });
    const [socket, follower] = await Promise.all([dial({ params: { caps: ['tool-events'] } }), dial()]);
    await ask(socket, 'chat.send', { sessionKey: 'main', message: WORDS, idempotencyKey: 'first' });
    await finished(socket, 'first');
    await ask(follower, 'sessions.subscribe');
    await ask(socket, 'chat.send', { sessionKey: 'main', message: `[[offline: tool session_status {}]] ${WORDS}`, idempotencyKey: 'run-tool-1' });
    await finished(socket, 'run-tool-1');
    await follower.next(({ event, payload }) => event === 'sessions.changed' && (payload as { phase?: string }).phase === 'end');
    for (const [name, ours] of [
      ['agent', heard(socket, 'agent').filter(({ stream }) => stream === 'tool')],
      ['session.tool', heard(follower, 'session.tool')],
    ] as const) {
      const theirs = events(recording('20'), name);
      expect(ours).toHaveLength(theirs.length);
      for (const [index, payload] of theirs.entries()) expect(differences(payload, ours[index], `${name} ${index}`).filter(ofRunning)).toEqual([]);
      expect(ours[0]).toMatchObject({ data: { phase: 'start', toolCallId: expect.any(String), args: {} } });
    }
    for (const name of ['session.message', 'sessions.changed']) {
      const theirs = events(recording('23'), name);
      const ours = heard(follower, name);
      const keyOf = ({ phase, message, messageId }: Record<string, unknown>) =>
        `${phase ?? (message as { role: string }).role} ${messageId === undefined ? 'announced' : 'written'}`;
      for (const payload of theirs) {
        const same = ours.find((one) => keyOf(one) === keyOf(payload));
        expect(differences(payload, same, `${name} ${keyOf(payload)}`).filter((line) => ofRunning(line) && !line.includes('message.content'))).toEqual([]);
      }
    }
  });

  it('notes and history (22, PROTO-200)', async () => {
    const { dial } = await startSessionHost();
    const socket = await dial();
    await ask(socket, 'chat.send', { sessionKey: 'main', message: SLOW, idempotencyKey: 'run-slow-1' });
    await socket.next(({ event, payload }) => event === 'chat' && (payload as { state: string }).state === 'delta');
    await ask(socket, 'chat.abort', { sessionKey: 'main', runId: 'run-slow-1' });
    await finished(socket, 'run-slow-1');
    await replay(socket, recording('22'));
    const note = heard(socket, 'chat').find(({ seq }) => seq === 0);
    expect(differences(events(recording('22'), 'chat')[0], note)).toEqual([]);
    expect(note).toMatchObject({ message: { content: [{ text: '[note]\n\ninjected note' }] } });
    const { messages } = await ask<{ messages: object[] }>(socket, 'chat.history', { sessionKey: 'main' });
    expect(messages).toMatchObject([{ role: 'user' }, { openclawAbort: { aborted: true, origin: 'rpc', runId: 'run-slow-1' } }, { model: 'gateway-injected' }]);
  });

  it('the life of a session (24, 25, PROTO-168 to PROTO-183)', async () => {
    const { dial, host } = await startSessionHost({ engine });
    const socket = await dial();
    await replay(socket, recording('24'), {
      text: { 'SLOW one': SLOW, 'now this': WORDS, hello: WORDS },
      before: {
        // the recording leaves out the run that this one aborts
        'op-9': async () => {
          await finished(socket, 'ss-2');
          await ask(socket, 'sessions.send', { key: 'agent:main:example', message: SLOW, idempotencyKey: 'ss-3' });
          await socket.next(({ event, payload }) => event === 'chat' && (payload as { runId: string }).runId === 'ss-3');
        },
        'op-10': async () => {
          await finished(socket, 'ss-3');
        },
      },
    });
    await replay(socket, recording('25'));
    expect(host.agent.active()).toEqual([]);
  });
});

/** Sends what the recording sent and compares the answers. */
async function replay(
  socket: Socket,
  frames: RecordedFrame[],
  options: { text?: Record<string, string>; before?: Record<string, () => Promise<void>> } = {},
): Promise<void> {
  for (const [index, { type, id = '', method = '', params = {} }] of frames.entries()) {
    if (type !== 'req') continue;
    await options.before?.[id]?.();
    const { message } = params;
    const said = typeof message === 'string' ? { message: options.text?.[message] ?? message } : {};
    const answer = await socket.call(method, { ...params, ...said }, `${id}-${index}`);
    const deviation = SESSION_ANSWERS.find((one) => one.id === id && one.method === method);
    if (deviation !== undefined) {
      expect(answer, deviation.why).toMatchObject(deviation.answer);
      continue;
    }
    const recorded = frames.find((frame) => frame.type === 'res' && frame.id === id);
    const { id: _theirs, ...theirs } = recorded as RecordedFrame & { id: string };
    expect(differences(theirs, answer), `${method} ${id}`).toEqual([]);
  }
}
