import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

/** An engine that writes down what it is told of sub-agents, and breaks if it is asked to prepare one. */
const DIARY = `import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
export default function register(api) {
  const note = (line) => appendFileSync(join(api.runtime.state.resolveStateDir(), 'diary.log'), JSON.stringify(line) + '\\n');
  api.on('subagent_spawning', ({ label }) => (label === 'forbidden' ? { status: 'error', error: 'not on my watch' } : { status: 'ok' }));
  api.on('subagent_spawned', ({ childSessionKey, runId, mode }) => note({ hook: 'spawned', childSessionKey, runId, mode }));
  api.on('subagent_ended', ({ targetSessionKey, targetKind, reason, outcome }) => note({ hook: 'ended', targetSessionKey, targetKind, reason, outcome }));
  api.registerContextEngine('diary', () => ({
    info: { id: 'diary', name: 'Diary' },
    ingest: async () => ({ ingested: true }),
    assemble: async ({ messages }) => ({ messages, estimatedTokens: 10 }),
    compact: async () => ({ ok: true, compacted: false }),
    prepareSubagentSpawn: async () => { note({ prepare: true }); throw new Error('never'); },
    onSubagentEnded: async (params) => note(params),
  }));
}
`;

const MAIN = 'agent:main:main';

let machine: Machine;
afterEach(() => machine.remove());

async function machineWithDiary(subagents: object = {}): Promise<GatewayProcess> {
  machine = await createMachine({
    agents: { defaults: { model: 'offline/script', subagents } },
    plugins: { slots: { contextEngine: 'diary' } },
  });
  const dir = join(machine.stateDir, 'extensions/diary');
  await mkdir(dir, { recursive: true });
  const manifest = { id: 'diary', name: 'Diary', kind: 'context-engine', contextEngines: ['diary'] };
  const contracts = { hooks: ['subagent_spawning', 'subagent_spawned', 'subagent_ended'] };
  await writeFile(join(dir, 'Durar.plugin.json'), JSON.stringify({ ...manifest, contracts, configSchema: { type: 'object', additionalProperties: false } }));
  await writeFile(join(dir, 'package.json'), JSON.stringify({ name: 'diary', version: '1.0.0', type: 'module' }));
  await writeFile(join(dir, 'index.js'), DIARY);
  return machine.start();
}

type Note = Record<string, unknown>;
const diary = async (): Promise<Note[]> => {
  const text = await readFile(join(machine.stateDir, 'diary.log'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Note]));
};
const toldEngine = async () => (await diary()).filter(({ hook }) => hook === undefined);
const say = (message: string) => machine.cli(['agent', '--message', message]);
const show = async (key: string) => (await machine.cli(['sessions', 'show', key])).stdout;
const spawn = (args: object) => `[[offline: tool sessions_spawn ${JSON.stringify(args)}]] [[offline: say started]]`;
const occurrences = (text: string, part: string) => text.split(part).length - 1;

interface Row {
  key: string;
  spawnedBy?: string;
  spawnDepth?: number;
  label?: string;
  status?: string;
}
const children = async (gateway: GatewayProcess): Promise<Row[]> => {
  const client = await machine.connect(gateway);
  try {
    return ((await client.request('sessions.list', { spawnedBy: MAIN })) as { sessions: Row[] }).sessions;
  } finally {
    client.close();
  }
};

describe('sub-agents of a real gateway', () => {
  it('the model starts one, its result comes back, hooks and engine are told once (ENGINE-004, ENGINE-027, ENGINE-029, ENGINE-030, ENGINE-069, ENGINE-070, CTX-093)', async () => {
    const gateway = await machineWithDiary();
    expect((await say(spawn({ task: '[[offline: delay 300]] [[offline: say forty-two]]', label: 'counter' }))).stdout).toContain('started');
    const [row] = await children(gateway);
    expect(row).toMatchObject({ spawnedBy: MAIN, spawnDepth: 1, label: 'counter' });
    await until(async () => (await show('main')).includes('forty-two'), 'the announcement');
    await until(async () => (await diary()).some(({ hook }) => hook === 'ended'), 'the end');
    expect(await toldEngine()).toEqual([{ childSessionKey: row?.key, reason: 'completed' }]);
    expect((await diary()).filter(({ hook }) => hook !== undefined)).toMatchObject([
      { hook: 'spawned', childSessionKey: row?.key, mode: 'run' },
      { hook: 'ended', targetSessionKey: row?.key, targetKind: 'subagent', reason: 'subagent-complete', outcome: 'ok' },
    ]);
    const listed = await say('/subagents list');
    expect(listed.stdout).toMatch(/1\. [0-9a-f]{8} ok, \d+s: counter - /);
    expect((await say('/subagents info counter')).stdout).toContain(`Session: ${row?.key}`);
    expect((await say('/subagents log 1')).stdout).toContain('assistant: forty-two');
  });

  it('what is refused is told to the model with what to do: depth, a hook, a thread', async () => {
    await machineWithDiary();
    const refused = async (args: object) => {
      await say(`[[offline: tool sessions_spawn ${JSON.stringify(args)}]] [[offline: say seen]]`);
      return show('main');
    };
    expect(await refused({ task: 'x', label: 'forbidden' })).toContain('an extension refused the sub-agent: not on my watch');
    expect(await refused({ task: 'x', thread: true })).toContain('Leave thread out');
    expect(await refused({ task: 'x', sandbox: 'require' })).toContain('a sandbox for a sub-agent is not available here');
    await say(spawn({ task: '[[offline: tool sessions_spawn {"task":"y"}]] [[offline: say tried]]' }));
    await until(async () => (await show('main')).includes('tried'), 'the announcement');
    expect(await toldEngine()).toHaveLength(1);
  });

  it('/stop ends those at work; /kill one of them', async () => {
    const gateway = await machineWithDiary();
    await say(spawn({ task: '[[offline: stall]]', label: 'one' }));
    await say(spawn({ task: '[[offline: stall]]', label: 'two' }));
    expect((await say('/kill one')).stdout).toContain('Stopped "one".');
    const client = await machine.connect(gateway);
    const stopped = (await client.request('chat.send', { sessionKey: 'main', message: '/stop', idempotencyKey: 'stop-1' })) as {
      aborted: boolean;
      runIds: string[];
    };
    client.close();
    expect(stopped).toMatchObject({ aborted: true });
    expect(stopped.runIds).toHaveLength(1);
    await until(async () => (await toldEngine()).length === 2, 'both ends');
    expect((await children(gateway)).map(({ status }) => status)).toEqual(['killed', 'killed']);
    expect(await show('main')).not.toContain('[Sub-agent]');
  });

  it('kill -9 while one works: it goes on at the next start, and its end is told and announced exactly once', async () => {
    let gateway = await machineWithDiary();
    await say(spawn({ task: '[[offline: delay 30000]] [[offline: say too late]]', label: 'survivor' }));
    const [row] = await children(gateway);
    await until(async () => (await show(row?.key ?? '')).includes('delay 30000'), 'its begin');
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    await until(async () => occurrences(await show('main'), '[Sub-agent] "survivor" completed') === 1, 'the announcement');
    await until(async () => (await toldEngine()).length === 1, 'the end');
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    await say('hello');
    expect(occurrences(await show('main'), '[Sub-agent]')).toBe(1);
    expect(await toldEngine()).toEqual([{ childSessionKey: row?.key, reason: 'completed' }]);
    expect(await show(row?.key ?? '')).toContain('The gateway restarted while you worked');
  });

  it('an orderly stop leaves it to the next start; cleanup delete archives its transcript', async () => {
    const gateway = await machineWithDiary();
    await say(spawn({ task: '[[offline: delay 30000]] [[offline: say too late]]', cleanup: 'delete' }));
    const [row] = await children(gateway);
    await until(async () => (await show(row?.key ?? '')).includes('delay 30000'), 'its begin');
    await gateway.stop('SIGTERM');
    expect(await toldEngine()).toEqual([]);
    await machine.start();
    await until(async () => (await toldEngine()).length === 1, 'the end');
    expect(await toldEngine()).toEqual([{ childSessionKey: row?.key, reason: 'deleted' }]);
    await until(async () => (await show('main')).includes('[Sub-agent]'), 'the announcement');
    const files = await readdir(join(machine.stateDir, 'agents/main/sessions'));
    expect(files.filter((name) => name.includes('.jsonl.deleted.'))).toHaveLength(1);
  });
});
