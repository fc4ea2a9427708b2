/** What stands between a message and the model: assembly, pruning and prompt for a session of two thousand entries, beside a new session. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { type AgentMessage, emptyUsage, type NewEntry, type SessionStoreFactory } from '../../sdk/index.ts';
import { type BenchMachine, createBenchMachine, ended, registered } from './machine.ts';
import { median, type Row, row } from './measure.ts';

const ENTRIES = 2_000;
const KEY = 'agent:main:long';
const FILES = ['AGENTS.md', 'SOUL.md', 'TOOLS.md', 'IDENTITY.md', 'USER.md', 'HEARTBEAT.md'];

/** A provider that answers with the time at which it was asked. */
const PROBE = `
export default { id: 'probe', register(api) {
  const model = { id: 'clock', name: 'Clock', api: 'probe', provider: 'probe', reasoning: false, input: ['text'], contextWindow: 1000000, maxTokens: 1000,
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 } };
  api.registerProvider({ id: 'probe', keyless: true, models: async () => [model], async *stream(request) {
    const text = String(performance.timeOrigin + performance.now()) + ' ' + request.messages.length;
    const message = { role: 'assistant', content: [{ type: 'text', text }], api: 'probe', provider: 'probe', model: 'clock', stopReason: 'stop', timestamp: Date.now(),
      usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0, cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 } } };
    yield { type: 'start', partial: message };
    yield { type: 'done', reason: 'stop', message };
  } });
} };`;

export async function contextRows(quick: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const engine of ['legacy', 'recall']) {
    const bench = await createContextMachine(engine);
    await storeSession(bench);
    const { child, client } = await bench.start();
    await request(client, 'agent:main:new');
    const first = await request(client, KEY);
    const near: number[] = [];
    const far: number[] = [];
    for (let at = 0; at < (quick ? 20 : 100); at += 1) {
      near.push((await request(client, `agent:main:new-${at}`)).ms);
      far.push((await request(client, KEY)).ms);
    }
    const { messages } = await request(client, KEY);
    client.close();
    child.kill();
    await ended(child);
    // a new process: the transcript is read, everything is measured anew
    const again = await bench.start();
    await request(again.client, 'agent:main:new');
    const cold = await request(again.client, KEY);
    rows.push(
      row(
        `from a message to the model call, ${ENTRIES.toLocaleString('en')} entries, ${engine}`,
        'ms',
        median(far),
        { name: 'a new session, ms', value: median(near) },
        { at: 'most', value: 10, of: 'measured' },
        `${messages} messages sent; the first after a start: ${cold.ms.toFixed(1)} ms, the first of all, the engine being given the log: ${first.ms.toFixed(1)} ms`,
      ),
    );
    again.client.close();
    again.child.kill();
    await ended(again.child);
    bench.remove();
  }
  return rows;
}

async function createContextMachine(engine: string): Promise<BenchMachine> {
  const bench = await createBenchMachine({
    agents: { defaults: { model: 'probe/clock', contextPruning: { mode: 'cache-ttl' } } },
    plugins: { slots: { contextEngine: engine } },
  });
  const folder = join(bench.stateDir, 'extensions/probe');
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, 'Durar.plugin.json'), JSON.stringify({ id: 'probe', configSchema: { type: 'object' }, providers: ['probe'] }));
  writeFileSync(join(folder, 'index.js'), PROBE);
  const workspace = join(bench.stateDir, 'workspace');
  mkdirSync(workspace, { mode: 0o700 });
  for (const name of FILES) writeFileSync(join(workspace, name), `# ${name}\n${'A line of rules for the agent.\n'.repeat(100)}`);
  return bench;
}

/** Request sent to model asked, by the wall clock of one machine. */
async function request(client: GatewayClient, sessionKey: string): Promise<{ ms: number; messages: number }> {
  const began = performance.timeOrigin + performance.now();
  const message = `Why does the billing job of plot ${Math.floor(Math.random() * 1_000)} depend on the second supplier?`;
  const { status, result } = (await client.request('agent', { message, sessionKey, idempotencyKey: randomUUID() }, { expectFinal: true })) as {
    status: string;
    result: { payloads: Array<{ text: string }> };
  };
  const [asked, messages] = result.payloads[0]?.text.split(' ').map(Number) ?? [];
  if (status !== 'ok' || asked === undefined || messages === undefined) throw new Error(`the turn ended with ${status}`);
  return { ms: asked - began, messages };
}

/** Turns of four entries: a question, a call, its result, an answer. */
async function storeSession(bench: BenchMachine): Promise<void> {
  const store = await ((await registered('session-stores/local', bench.stateDir)).registerSessionStore as SessionStoreFactory)();
  const { session } = await store.open({ key: KEY, agentId: 'main' });
  const prose = (at: number) => `Entry ${at}: the survey of plot ${at * 7} lists ${at % 9} elms and ${at % 5} oaks; the mason asked for drawing ${at * 31}. `;
  const from = Date.UTC(2026, 0, 1);
  const said = (at: number): AgentMessage => {
    const base = { timestamp: from + at * 1_000 };
    const reply = { ...base, role: 'assistant' as const, api: 'probe', provider: 'probe', model: 'clock', usage: emptyUsage() };
    switch (at % 4) {
      case 0:
        return { ...base, role: 'user', content: prose(at) };
      case 1:
        return { ...reply, content: [{ type: 'toolCall', id: `call_${at}`, name: 'read', arguments: { path: `plot-${at}.md` } }], stopReason: 'toolUse' };
      case 2:
        return {
          ...base,
          role: 'toolResult',
          toolCallId: `call_${at - 1}`,
          toolName: 'read',
          content: [{ type: 'text', text: prose(at).repeat(at % 50 === 2 ? 60 : 6) }],
          isError: false,
        };
      default:
        return { ...reply, content: [{ type: 'text', text: prose(at) }], stopReason: 'stop' };
    }
  };
  const entries = Array.from(
    { length: ENTRIES },
    (_none, at): NewEntry => ({
      type: 'message',
      id: (at + 1).toString(16).padStart(8, '0'),
      timestamp: new Date(from + at * 1_000).toISOString(),
      message: said(at),
    }),
  );
  await store.append({ sessionId: session.sessionId, entries });
  await store.close();
}
