import type { PluginApi } from 'Durar/plugin-sdk/core';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { channelContract } from '../../../sdk/contract/channel.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { webchat } from './channel.ts';
import entry from './index.ts';

describe('webchat', () => {
  it('registers the one channel that its manifest declares', async () => {
    const manifest = JSON.parse(readFileSync(new URL('Durar.plugin.json', import.meta.url), 'utf8')) as { id: string; channels: string[] };
    const registered: unknown[] = [];
    const api = { registrationMode: 'full', registerChannel: (channel: unknown) => registered.push(channel) } as unknown as PluginApi;
    await entry.register(api);
    expect(registered).toEqual([webchat]);
    expect([entry.id, webchat.id]).toEqual([manifest.id, manifest.channels[0]]);
    expect(manifest.channels).toHaveLength(1);
  });

  it('has one account, direct chats only, and is on unless switched off', () => {
    expect(webchat.config.listAccountIds({})).toEqual(['default']);
    expect(webchat.capabilities.chatTypes).toEqual(['direct']);
    expect(webchat.config.resolveAccount({})).toEqual({ accountId: 'default', enabled: true });
    expect(webchat.config.isEnabled?.({}, { channels: { webchat: { enabled: false } } })).toBe(false);
  });

  it('claims no transport that it does not have', () => {
    expect(webchat.gateway).toBeUndefined();
    expect(webchat.outbound).toBeUndefined();
  });
});

describeContract(channelContract, () => ({ channel: webchat }));
