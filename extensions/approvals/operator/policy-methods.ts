import { errorCode, errorText, type PluginApi, ProtocolError } from 'Durar/plugin-sdk/core';
import { ApprovalsFile } from 'Durar/plugin-sdk/exec/approvals-file';
import { join } from 'node:path';
import { noParams, policySetParams } from './schemas.ts';

/** What the caller can put right by asking again. */
const CALLER_CODES: readonly unknown[] = ['DUR_EXEC_APPROVALS_BASE', 'DUR_EXEC_APPROVALS_CHANGED', 'DUR_EXEC_APPROVALS_INVALID'];

/** The RPC methods by which administrators read and write the gateway's `exec-approvals.json`. */
export function registerPolicyMethods(api: PluginApi): void {
  let made: ApprovalsFile | undefined;
  const approvals = () => {
    made ??= new ApprovalsFile(join(api.runtime.state.resolveStateDir(), 'exec-approvals.json'));
    return made;
  };
  api.registerGatewayMethod('exec.approvals.get', () => approvals().snapshot(), {
    scope: 'operator.admin',
    description: 'Reads the policy file of the gateway.',
    params: noParams,
  });
  api.registerGatewayMethod(
    'exec.approvals.set',
    async (params) => {
      try {
        return await approvals().replace(params as { file: Record<string, unknown>; baseHash?: string });
      } catch (error) {
        if (CALLER_CODES.includes(errorCode(error))) throw new ProtocolError('INVALID_REQUEST', errorText(error), { cause: error });
        throw error;
      }
    },
    { scope: 'operator.admin', description: 'Replaces the policy file of the gateway.', params: policySetParams },
  );
}
