import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { registerApproveCommand } from './approve-command.ts';
import { createOperatorApprover } from './approver.ts';
import { registerMethods } from './methods.ts';
import { PendingApprovals } from './pending.ts';
import { registerPolicyMethods } from './policy-methods.ts';

export default definePluginEntry({
  id: 'operator',
  name: 'Operator approvals',
  register(api) {
    const pending = new PendingApprovals((event, payload) => api.runtime.gateway.broadcast(event, payload, { scope: 'operator.approvals' }));
    api.defer(() => pending.close());
    api.registerApprover(createOperatorApprover(pending, api.runtime.gateway));
    registerMethods(api, pending);
    registerApproveCommand(api, pending);
    registerPolicyMethods(api);
  },
});
