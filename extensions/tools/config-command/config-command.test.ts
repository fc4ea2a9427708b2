import type { CommandContext } from 'Durar/plugin-sdk/core';
import { describe, expect, it } from 'vitest';
import { answer } from './command.ts';

const ADMIN = ['operator.write', 'operator.admin'];

function chat(config: Record<string, unknown>, more: Partial<CommandContext> = {}) {
  let present = config;
  const say = async (args: string, by: Partial<CommandContext> = {}) => {
    const context = {
      channel: 'webchat',
      isAuthorizedSender: true,
      commandBody: `/config ${args}`,
      config: present,
      args,
      gatewayClientScopes: ADMIN,
      ...more,
      ...by,
    };
    for (const [key, value] of Object.entries(context)) if (value === undefined) delete context[key as keyof typeof context];
    const runtime = {
      loadConfig: () => present,
      async writeConfigFile(next: Record<string, unknown>) {
        if ('wrong' in next) throw new Error('unknown key: wrong');
        present = next;
      },
    };
    const { text, isError } = await answer(context, runtime);
    return isError === true ? `! ${text}` : text;
  };
  return { say, present: () => present };
}

const on = { commands: { config: true } };

describe('/config', () => {
  it('is off unless it is switched on', async () => {
    expect(await chat({ commands: {} }).say('show')).toBe('! Not available: `commands.config` is off.');
  });

  it('shows parts and values', async () => {
    const { say } = chat({ ...on, gateway: { port: 1 } });
    expect(await say('show')).toBe('Parts: commands, gateway.\n/config show <path> shows one.');
    expect(await say('get gateway.port')).toBe('gateway.port: 1');
    expect(await say('show gateway')).toBe('gateway: {\n  "port": 1\n}');
    expect(await say('get gateway.prot')).toBe('! Nothing is set at "gateway.prot".');
    expect(await say('get gateway.constructor')).toContain('! Nothing');
    expect((await chat({ ...on, long: 'x'.repeat(9_000) }).say('show long'))?.length).toBeLessThan(3_700);
  });

  it('changes values, JSON or text, and takes them out', async () => {
    const { say, present } = chat({ ...on, list: [{ id: 'a' }, { id: 'b' }] });
    expect(await say('set agents.defaults.model=offline/echo')).toBe('Set agents.defaults.model.');
    await say('set gateway.port 18800');
    await say('set a.b={"c":[1]}');
    await say('set list.1.id=x');
    expect(present()).toEqual({
      ...on,
      list: [{ id: 'a' }, { id: 'x' }],
      agents: { defaults: { model: 'offline/echo' } },
      gateway: { port: 18800 },
      a: { b: { c: [1] } },
    });
    expect(await say('unset gateway.port')).toBe('Removed gateway.port.');
    await say('unset list.0');
    expect(present()).toMatchObject({ gateway: {}, list: [{ id: 'x' }] });
    expect(await say('unset gateway.port')).toBe('! Nothing is set at "gateway.port".');
    expect(await say('unset nothing.there')).toBe('! Nothing is set at "nothing.there".');
  });

  it('says why something is not changed, and what it does not understand', async () => {
    const { say, present } = chat(on);
    expect(await say('set wrong=1')).toContain('! Not changed: unknown key: wrong');
    for (const args of [
      '',
      'get',
      'set',
      'set a',
      'set =1',
      'set a..b=1',
      'unset',
      'unset a b',
      'drop a',
      'set __proto__.x=1',
      'set a.constructor.prototype=1',
    ])
      expect(await say(args)).toContain('! Usage');
    expect(present()).toEqual(on);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it('is changed by administrators and owners only', async () => {
    const { say } = chat({ commands: { config: true, ownerAllowFrom: ['irc:ann', 'bob'] }, channels: { telegram: { configWrites: false } } });
    const write = { gatewayClientScopes: ['operator.write'] };
    expect(await say('set a=1', write)).toBe('! Not allowed: missing scope: operator.admin.');
    expect(await say('show', write)).toContain('Parts');
    const by = (channel: string, senderId: string) => ({ gatewayClientScopes: undefined, channel, senderId }) as unknown as Partial<CommandContext>;
    expect(await say('set a=1', by('irc', 'ann'))).toBe('Set a.');
    expect(await say('show', by('telegram', 'ann'))).toContain('! Not allowed');
    expect(await say('show', by('telegram', 'bob'))).toContain('Parts');
    expect(await say('set a=2', by('telegram', 'bob'))).toBe('! Not allowed: `channels.telegram.configWrites` is off.');
    expect(await say('show', by('irc', 'eve'))).toContain('! Not allowed');
  });
});
