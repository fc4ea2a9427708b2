import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { ApprovalsFile } from 'Durar/plugin-sdk/exec/approvals-file';
import { join } from 'node:path';
import { createExecTool } from './tool.ts';

export default definePluginEntry({
  id: 'tools-exec',
  name: 'Exec tool',
  register(api) {
    const approvals = new ApprovalsFile(join(api.runtime.state.resolveStateDir(), 'exec-approvals.json'));
    const { maxOutputChars } = api.pluginConfig;
    const shared = {
      approvals,
      canBeAsked: () => api.runtime.gateway.listeners('operator.approvals') > 0,
      maxOutputChars: typeof maxOutputChars === 'number' ? maxOutputChars : 30_000,
      disposed: api.signal,
    };
    // a sandboxed run must not reach the host
    api.registerTool((context) => (context.sandboxed ? null : createExecTool(context, shared)), { name: 'exec' });
  },
});
