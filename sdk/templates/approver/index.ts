import { basename } from 'node:path';
import { type Approver, definePluginEntry } from 'Durar/plugin-sdk/core';

export default definePluginEntry({
  id: '__ID__',
  register(api) {
    const { denied } = api.pluginConfig;
    api.registerApprover(createApprover(Array.isArray(denied) ? denied.map(String) : []));
  },
});

function createApprover(denied: readonly string[]): Approver {
  return {
    id: '__ID__',
    // Asked before those who ask a person.
    priority: 100,
    async decide({ kind, commandArgv = [] }) {
      const program = basename(commandArgv[0] ?? '');
      if (kind !== 'exec' || !denied.includes(program)) return undefined;
      return { decision: 'deny', reason: `'${program}' is never run here`, resolvedBy: '__ID__' };
    },
  };
}
