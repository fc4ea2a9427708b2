import { durarError } from '../../../sdk/errors.ts';
import { isRecord } from '../../config/config-path.ts';
import { parseText } from '../../config/parse.ts';
import type { Action } from '../command.ts';
import { openRpc } from '../rpc.ts';

/** `durar gateway call <method>`: one raw request; its payload as JSON. */
export const gatewayCall: Action = async (context) => {
  const { output, options, args } = context;
  const params = await parseText((options.params as string | undefined) ?? '{}', '--params');
  if (!isRecord(params)) throw durarError('DUR_CLI_USAGE', { reason: '--params is not an object' }, { hint: 'Write for example --params \'{"limit":5}\'.' });
  const rpc = await openRpc(context);
  try {
    const payload = await rpc.call(args[0] ?? '', params, { expectFinal: options.expectFinal === true });
    output.result(payload, () => output.line(JSON.stringify(payload, null, 2)));
  } finally {
    rpc.close();
  }
};
