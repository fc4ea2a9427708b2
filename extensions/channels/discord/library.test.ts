import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { newDiscord, settings } from '../../../test/fixtures/discord-account.ts';
import { loadGateway, loadRest } from './library.ts';

const loaded = () => Object.keys(createRequire(import.meta.url).cache).filter((file) => /[\\/](?:@discordjs|discord\.js)[\\/]/.test(file));

it('loads nothing of discord.js before an account asks for it', () => {
  const { config } = newDiscord();
  const cfg = settings('http://127.0.0.1:9');
  expect(config.isConfigured?.(config.resolveAccount(cfg), cfg)).toBe(true);
  expect(loaded()).toEqual([]);
  expect(loadRest().REST).toBeTypeOf('function');
  expect(loadGateway().WebSocketManager).toBeTypeOf('function');
  expect(loaded().length).toBeGreaterThan(0);
});
