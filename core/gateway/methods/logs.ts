import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';
import { tailLog } from '../log-tail.ts';

export function logsMethods({ control }: GatewayContext): MethodFamily<'logs.tail'> {
  return {
    async 'logs.tail'(params) {
      const file = control.logs.file();
      if (file === undefined) throw new ProtocolError('UNAVAILABLE', 'this gateway writes no log file');
      await control.logs.flush();
      return await tailLog(file, params);
    },
  };
}
