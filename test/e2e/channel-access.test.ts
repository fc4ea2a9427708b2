import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

interface Receipt {
  accepted: boolean;
  runId?: string;
  reason?: string;
}
interface Sent {
  to: string;
  text: string;
  accountId: string;
}

let machine: Machine;
let gateway: GatewayProcess;
let client: GatewayClient;

const config = (block: object, extra: object = {}) => ({ channels: { 'wire-chat': block }, ...extra });
const call = <T>(method: string, params: object = {}) => client.request(method as never, params as never) as Promise<T>;
const say = (message: object) => call<Receipt>('wire.say', message);
const sentTo = async (to: string) => (await call<{ sent: Sent[] }>('wire.sent')).sent.filter((one) => one.to === to);
const replies = (to: string, count: number) =>
  until(async () => {
    const sent = await sentTo(to);
    return sent.length >= count ? sent : undefined;
  }, `${count} messages to ${to}`);

async function start(): Promise<void> {
  gateway = await machine.start();
  client = await machine.connect(gateway);
}

async function apply(next: object): Promise<void> {
  const generation = async () => (await call<{ host: { generation: number } }>('status')).host.generation;
  const before = await generation();
  await machine.writeConfig({ ...next, ...installed });
  await until(async () => (await generation()) > before, 'the new generation');
}

let installed: object;

beforeAll(async () => {
  machine = await createMachine({});
  const added = await machine.cli(['plugins', 'install', join(root, 'test/fixtures/wire-chat'), '--json']);
  expect(added.code, added.stderr).toBe(0);
  const { plugins } = JSON.parse((await machine.cli(['config', 'get', '--json'])).stdout) as { plugins?: object };
  installed = plugins === undefined ? {} : { plugins: { entries: { 'wire-chat': { enabled: true } } } };
  await machine.writeConfig({ ...config({}), ...installed });
  await start();
}, 120_000);
afterAll(async () => {
  client?.close();
  await machine.remove();
});

describe('people at a channel of an installed extension', () => {
  it('a stranger asks, the operator approves, the person is told and answered, and all of it outlives kill -9', async () => {
    expect(await say({ text: 'hello', senderId: 'ada', senderName: 'Ada', messageId: '1' })).toMatchObject({ accepted: false, reason: 'pairing' });
    const [asked] = await replies('ada', 1);
    const listed = (await machine.cli(['pairing', 'list', 'wire-chat', '--json'])).json<{ pending: Array<{ code: string; senderId: string }> }>();
    expect(listed.pending).toEqual([expect.objectContaining({ senderId: 'ada' })]);
    const code = listed.pending[0]?.code ?? '';
    expect(asked?.text).toContain(code);
    expect((await machine.cli(['pairing', 'approve', 'wire-chat', 'WRONGCDE'])).code).not.toBe(0);
    const approved = await machine.cli(['pairing', 'approve', 'wire-chat', code.toLowerCase(), '--notify']);
    expect(approved.stdout, approved.stderr).toContain('Let in Ada (wire-chat ada)');
    await replies('ada', 2);
    await gateway.stop('SIGKILL');
    client.close();
    await start();
    expect(await say({ text: 'are you there', senderId: 'ada', messageId: '2' })).toMatchObject({ accepted: true, runId: expect.any(String) });
    expect((await replies('ada', 3)).at(-1)?.text).toContain('are you there');
    expect(await say({ text: 'are you there', senderId: 'ada', messageId: '2' })).toMatchObject({ accepted: true, reason: 'duplicate' });
  }, 60_000);

  it('what was approved is taken back, also while the gateway is down', async () => {
    await gateway.stop();
    client.close();
    const revoked = await machine.cli(['pairing', 'revoke', 'wire-chat', 'ada', '--json']);
    expect(revoked.json<{ revoked: object[] }>().revoked).toHaveLength(1);
    expect((await machine.cli(['pairing', 'list', '--json'])).json()).toEqual({ pending: [], paired: [] });
    expect((await machine.cli(['pairing', 'revoke', 'wire-chat', 'ada'])).stderr).toContain('was not let in');
    await start();
    expect(await say({ text: 'hello', senderId: 'ada', messageId: '3' })).toMatchObject({ accepted: false, reason: 'pairing' });
    const { pending } = (await machine.cli(['pairing', 'list', '--json'])).json<{ pending: Array<{ code: string }> }>();
    expect((await machine.cli(['pairing', 'reject', pending[0]?.code ?? ''])).stdout).toContain('Forgot the request');
  }, 60_000);

  it('rules change with the next message, without a new connection; what the connection is made of makes it anew, of that account alone', async () => {
    const accounts = { work: { server: 'a' }, home: { server: 'b' } };
    await apply(config({ accounts }));
    const starts = async () => (await call<{ starts: Array<{ accountId: string; server?: string }> }>('wire.starts')).starts;
    const began = await until(async () => ((await starts()).length >= 4 ? await starts() : undefined), 'both accounts');
    expect(await say({ text: 'psst', senderId: 'eve', accountId: 'work' })).toMatchObject({ reason: 'pairing' });
    await apply(config({ accounts: { ...accounts, work: { server: 'a', allowFrom: ['eve'] } } }));
    expect(await say({ text: 'psst', senderId: 'eve', accountId: 'work' })).toMatchObject({ accepted: true });
    expect(await say({ text: 'psst', senderId: 'eve', accountId: 'home' })).toMatchObject({ reason: 'pairing' });
    expect(await starts()).toHaveLength(began.length);
    await apply(config({ accounts: { work: { server: 'a', allowFrom: ['eve'] }, home: { server: 'c' } } }));
    await until(async () => (await starts()).length > began.length, 'the new connection');
    expect((await starts()).slice(began.length)).toEqual([{ accountId: 'home', server: 'c' }]);
  }, 60_000);

  it('a group is answered when it names the agent, from a session of its own; bindings choose the agent', async () => {
    const rules = { allowFrom: ['*'], groups: { '#ops': {} } };
    await apply(
      config(rules, {
        agents: { list: [{ id: 'main' }, { id: 'second' }] },
        bindings: [{ agentId: 'second', match: { channel: 'wire', peer: { kind: 'group', id: '#ops' } } }],
      }),
    );
    const group = { chatType: 'group', conversationId: '#ops', senderId: 'ada', senderName: 'Ada' };
    await until(async () => (await say({ ...group, text: 'the build is red', mentioned: false, messageId: 'g1' })).reason === 'mention', 'the mention rule');
    expect(await say({ ...group, conversationId: '#dev', text: 'x', mentioned: true })).toMatchObject({ reason: 'group-not-allowed' });
    expect(await say({ ...group, text: 'what is red?', mentioned: true, messageId: 'g2' })).toMatchObject({ accepted: true, runId: expect.any(String) });
    const [reply] = await replies('#ops', 1);
    expect(reply?.text).toContain('the build is red');
    const { sessions } = await call<{ sessions: Array<{ key: string; chatType?: string }> }>('sessions.list');
    expect(sessions).toContainEqual(expect.objectContaining({ key: 'agent:second:wire-chat:group:#ops', chatType: 'group' }));
  }, 60_000);

  it('channels status tells how the accounts do, and what their services say', async () => {
    await apply(config({ allowFrom: ['*'], accounts: { work: { server: 'a' }, home: { server: 'broken', name: 'Home' }, off: { enabled: false } } }));
    await until(async () => (await say({ text: 'x', senderId: 'ada', accountId: 'work' })).accepted, 'the account');
    const plain = await machine.cli(['channels', 'status', '--json']);
    const { channelAccounts, channelLabels } = plain.json<{ channelAccounts: Record<string, object[]>; channelLabels: object }>();
    expect([plain.code, channelLabels]).toEqual([0, expect.objectContaining({ 'wire-chat': 'Wire' })]);
    expect(channelAccounts['wire-chat']).toEqual([
      expect.objectContaining({ accountId: 'work', enabled: true, running: true, connected: true, restarts: 0, lastInboundAt: expect.any(Number) }),
      expect.objectContaining({ accountId: 'home', name: 'Home', running: true }),
      { accountId: 'off', enabled: false, configured: true, running: false },
    ]);
    const asked = await machine.cli(['channels', 'status', '--probe']);
    expect(asked.code).toBe(1);
    expect(asked.stdout).toContain('bot of work');
    expect(asked.stdout).toContain('the line is dead');
    expect((await machine.cli(['channels', 'list'])).stdout).toContain('work, home, off');
    await apply(config({ allowFrom: ['*'] }));
  }, 60_000);

  it('what happened is told with the next turn', async () => {
    expect(await say({ kind: 'event', text: 'Ada left the room', senderId: 'ada', conversationId: 'ada' })).toMatchObject({ reason: 'event' });
    const { queued } = { queued: (await call<{ queuedSystemEvents: string[] }>('status')).queuedSystemEvents };
    expect(queued).toContain('[Wire] Ada left the room');
    await say({ text: 'so?', senderId: 'ada', messageId: 'e1' });
    expect((await call<{ queuedSystemEvents: string[] }>('status')).queuedSystemEvents).toEqual([]);
  });

  it('what waits to be joined outlives kill -9, and is answered once', async () => {
    await apply(config({ allowFrom: ['*'] }, { messages: { inbound: { debounceMs: 60_000 } } }));
    await until(async () => (await say({ text: 'first half', senderId: 'eve', messageId: 'd1' })).accepted, 'the account');
    expect(await say({ text: 'second half', senderId: 'eve', messageId: 'd2' })).toEqual({ accepted: true, reason: 'debounce' });
    const before = (await sentTo('eve')).length;
    await gateway.stop('SIGKILL');
    client.close();
    await start();
    const [reply] = (await replies('eve', before + 1)).slice(before);
    expect(reply?.text).toContain('first half\nsecond half');
    expect(await say({ text: 'second half', senderId: 'eve', messageId: 'd2' })).toMatchObject({ reason: 'duplicate' });
    expect(await sentTo('eve')).toHaveLength(before + 1);
  }, 60_000);

  it('rules that cannot be meant are refused by config set and told by doctor; unknown keys too', async () => {
    const refused = await machine.cli(['config', 'set', 'channels.wire-chat.dmPolicy', 'allowlist', '--json']);
    expect(refused.code).toBe(0);
    const emptied = await machine.cli(['config', 'set', 'channels.wire-chat.allowFrom', '[]', '--json']);
    expect(emptied.code).not.toBe(0);
    expect(emptied.stdout + emptied.stderr).toContain('DUR_CHANNEL_ALLOWLIST_EMPTY');
    await apply(config({ dmPolicy: 'open' }));
    const doctor = await machine.cli(['doctor', '--json']);
    expect(doctor.stdout).toContain('DUR_CHANNEL_OPEN_UNSAID');
    const unknown = await machine.cli(['config', 'set', 'channels.wire-chat.dmPolcy', 'open', '--json']);
    expect(unknown.stdout + unknown.stderr).toContain('dmPolcy');
    expect(unknown.code).not.toBe(0);
  }, 60_000);
});
