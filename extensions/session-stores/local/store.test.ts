import { sessionStoreContract } from 'Durar/plugin-sdk/contract/session-store';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeContract } from '../../../test/contract-adapter.ts';
import { createLocalStore } from './store.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

describeContract(sessionStoreContract, () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'durar-store-'));
  const context = {
    store: createLocalStore({ stateDir, log: quiet }),
    async reopen() {
      await context.store.close();
      context.store = createLocalStore({ stateDir, log: quiet });
      return context.store;
    },
    async dispose() {
      await context.store.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
  return context;
});
