import type { PluginApi, SessionStoreFactory } from 'Durar/plugin-sdk/core';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import entry from './index.ts';

it('registers what its manifest declares, in the state directory of the host', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'durar-entry-'));
  const made = new Map<string, SessionStoreFactory>();
  const api = {
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    runtime: { state: { resolveStateDir: () => stateDir } },
    registerSessionStore: (id: string, factory: SessionStoreFactory) => made.set(id, factory),
  };
  await entry.register(api as unknown as PluginApi);
  const manifest = JSON.parse(readFileSync(join(import.meta.dirname, 'Durar.plugin.json'), 'utf8'));
  expect([entry.id, ...made.keys()]).toEqual([manifest.id, ...manifest.sessionStores]);
  const store = await made.get('local')?.();
  const opened = await store?.open({ key: 'agent:main:main', agentId: 'main' });
  expect(await store?.sessionFile?.({ sessionId: opened?.session.sessionId ?? '' })).toContain(join(stateDir, 'agents', 'main', 'sessions'));
  await store?.close();
  rmSync(stateDir, { recursive: true });
});
