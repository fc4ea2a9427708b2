/** The matrix of who may call what and who hears what, derived from the published tables. */
import { describe, expect, it } from 'vitest';
import type { Contribution } from '../../core/kernel/generation.ts';
import { EVENTS, METHODS } from '../../sdk/protocol/generated/tables.ts';
import { ADMIN_PREFIXES } from '../../sdk/protocol/scopes.ts';
import { connect, newDevice, type Socket, startGateway, TOKEN } from './harness.ts';

const SCOPES = ['operator.read', 'operator.write', 'operator.admin', 'operator.approvals', 'operator.pairing', 'operator.talk.secrets'];

/** Every set of scopes. */
const SCOPE_SETS = Array.from({ length: 2 ** SCOPES.length }, (_item, bits) => SCOPES.filter((_scope, at) => (bits >> at) & 1));

interface Caller {
  role: 'operator' | 'node';
  scopes: string[];
}

const OPERATORS: Caller[] = SCOPE_SETS.map((scopes) => ({ role: 'operator', scopes }));
/** A node's scopes satisfy nothing that begins with `operator.`, whatever it claims. */
const NODES: Caller[] = [[], ['node.pending'], SCOPES].map((scopes) => ({ role: 'node', scopes }));

interface Need {
  role: string;
  scope: string | null;
}

/** The rules of the protocol page, written apart from the code that enforces them. */
function holds({ scopes }: Caller, scope: string): boolean {
  return scopes.includes(scope) || scopes.includes('operator.admin') || (scope === 'operator.read' && scopes.includes('operator.write'));
}

function expected(caller: Caller, method: string, need: Need): string {
  if (need.role !== 'any' && need.role !== caller.role) return `unauthorized role: ${caller.role}`;
  if (need.role !== 'node' && need.scope !== null && !holds(caller, need.scope)) return `missing scope: ${need.scope}`;
  return `invalid ${method} params`;
}

const CORE: Record<string, Need> = Object.fromEntries(
  Object.entries(METHODS as Record<string, { scope: string | null; role?: string }>).map(([name, { role, scope }]) => [
    name,
    { role: name === 'health' ? 'any' : (role ?? 'operator'), scope },
  ]),
);

const method = (key: string, scope?: string): Contribution =>
  ({
    kind: 'gatewayMethod',
    key,
    owner: 'fixture',
    value: { handler: async () => ({ reached: key }), options: scope === undefined ? {} : { scope } },
  }) as Contribution;

const EXTENSION_METHODS = [
  method('fixture.plain'),
  ...SCOPES.map((scope) => method(`fixture.of.${scope}`, scope)),
  ...ADMIN_PREFIXES.map((prefix) => method(`${prefix}peek`, 'operator.read')),
];
const FOREIGN: Record<string, Need> = {
  'fixture.plain': { role: 'operator', scope: 'operator.admin' },
  ...Object.fromEntries(SCOPES.map((scope) => [`fixture.of.${scope}`, { role: 'operator', scope }])),
  ...Object.fromEntries(ADMIN_PREFIXES.map((prefix) => [`${prefix}peek`, { role: 'operator', scope: 'operator.admin' }])),
};

const settings = { maxPreauthConnectionsPerAddress: 1000 };
const dialAs = (url: string, { role, scopes }: Caller) =>
  connect(url, { device: newDevice(), params: { role, scopes, client: { id: 'matrix', version: '1', platform: 'test', mode: 'test' } } });

/** The refusal of a call whose params are no object: nothing is ever carried out. */
async function verdict(socket: Socket, name: string): Promise<string> {
  const { error } = await socket.call(name, []);
  return String(error?.message).replace(/ params: .*/, ' params');
}

describe('authorisation', () => {
  it.each([
    ['every method of the host', CORE],
    ['methods of extensions', FOREIGN],
  ])('%s × every role and scope set (PROTO-053 to PROTO-067)', async (_name, table) => {
    const { url } = await startGateway({ settings, contributions: EXTENSION_METHODS });
    const wrong: string[] = [];
    for (const caller of [...OPERATORS, ...NODES]) {
      const socket = await dialAs(url, caller);
      const answers = new Map<string, string>();
      for (const name of Object.keys(table)) {
        answers.set(name, await verdict(socket, name));
        // an answered call in between: refusals by role in a row close the socket
        await socket.call('health');
      }
      for (const [name, need] of Object.entries(table)) {
        const want = expected(caller, name, need);
        if (answers.get(name) !== want) wrong.push(`${caller.role} [${caller.scopes}] ${name}: ${answers.get(name)}, not ${want}`);
      }
      socket.raw.terminate();
    }
    expect(wrong).toEqual([]);
  });

  it('every event of the host × every role and scope set (PROTO-048)', async () => {
    const { url, gateway } = await startGateway({ settings });
    const names = Object.keys(EVENTS).filter((name) => name !== 'connect.challenge' && name !== 'tick');
    const wrong: string[] = [];
    for (const caller of [...OPERATORS, ...NODES]) {
      const socket = await dialAs(url, caller);
      for (const name of names) gateway.broadcast(name, { fixture: true });
      gateway.broadcast('tick', { ts: 1 });
      await socket.event('tick');
      const heard = new Set(socket.frames.flatMap(({ event, payload }) => ((payload as { fixture?: boolean } | undefined)?.fixture ? [event] : [])));
      for (const name of names) {
        const scope = (EVENTS as Record<string, { scope: string | null }>)[name]?.scope ?? null;
        const may = scope === null || (caller.role === 'operator' && holds(caller, scope));
        if (heard.has(name) !== may) wrong.push(`${caller.role} [${caller.scopes}] ${may ? 'misses' : 'hears'} ${name}`);
      }
      socket.raw.terminate();
    }
    expect(wrong).toEqual([]);
  });

  it('an extension never takes over a method of the host', async () => {
    const { url } = await startGateway({ contributions: [method('config.get', 'operator.read'), method('health', 'operator.read')] });
    const reader = await dialAs(url, { role: 'operator', scopes: ['operator.read'] });
    expect((await reader.call('config.get', {})).error).toMatchObject({ message: 'missing scope: operator.admin' });
    expect((await reader.call('health', {})).payload).toMatchObject({ ok: true });
  });

  it('no answer and no event tells a secret: the shared one, tokens of devices', async () => {
    const { url, options } = await startGateway({ settings });
    const other = await dialAs(url, { role: 'operator', scopes: [...SCOPES] });
    const otherToken = (other.hello.auth as { deviceToken: string }).deviceToken;
    for (const scopes of [[], ['operator.read'], ['operator.write'], ['operator.approvals'], ['operator.pairing'], [...SCOPES]]) {
      const socket = await dialAs(url, { role: 'operator', scopes });
      for (const name of Object.keys(METHODS)) await socket.call(name, {});
      const heard = JSON.stringify(socket.frames);
      expect(heard).not.toContain(TOKEN);
      expect(heard).not.toContain(otherToken);
      if (!scopes.includes('operator.admin')) {
        expect(heard).not.toContain(options.paths.configFile);
        expect(heard).not.toContain(options.paths.stateDir);
      }
    }
  });
});
