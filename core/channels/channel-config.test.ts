import { expect, it } from 'vitest';
import type { Config } from '../config/schema.ts';
import { channelConfig } from './channel-config.ts';

it("shows a channel its own secrets and nobody else's", () => {
  const config = { gateway: { auth: { token: '***' } }, channels: { irc: { password: '***' }, telegram: { botToken: '***' } } } as unknown as Config;
  const resolvedConfig = { gateway: { auth: { token: 'a' } }, channels: { irc: { password: 'b' }, telegram: { botToken: 'c' } } } as unknown as Config;
  expect(channelConfig({ config, resolvedConfig }, 'irc')).toEqual({ ...config, channels: { irc: { password: 'b' }, telegram: { botToken: '***' } } });
  expect(channelConfig({ config, resolvedConfig }, 'webchat')).toEqual(config);
});
