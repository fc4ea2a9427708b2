import { durarError, errorCode, errorText } from '../../../sdk/errors.ts';
import { suggest } from '../../../sdk/suggest.ts';
import { isRecord } from '../../config/config-path.ts';
import { parseText } from '../../config/parse.ts';
import type { Action } from '../command.ts';
import { openRpc } from '../rpc.ts';

/** `durar gateway call <method>`: one raw request; its payload as JSON. */
export const gatewayCall: Action = async (context) => {
  const { output, options, args } = context;
  const params = await readParams((options.params as string | undefined) ?? '{}');
  const method = args[0] ?? '';
  const rpc = await openRpc(context);
  try {
    const payload = await rpc.call(method, params, { expectFinal: options.expectFinal === true }).catch((error: unknown) => {
      throw errorText(error) === `unknown method: ${method}` ? unknownMethod(error, suggest(method, rpc.methods)) : error;
    });
    output.result(payload, () => output.line(JSON.stringify(payload, null, 2)));
  } finally {
    rpc.close();
  }
};

async function readParams(text: string): Promise<Record<string, unknown>> {
  const refuse = (reason: string, cause?: unknown) =>
    durarError('DUR_CLI_USAGE', { reason: `--params is ${reason}` }, { hint: 'Write for example --params \'{"limit":5}\'.', cause });
  const params = await parseText(text, '--params').catch((cause: unknown) => {
    throw errorCode(cause) === 'DUR_CONFIG_SYNTAX' ? refuse(`not JSON5: ${text}`, cause) : cause;
  });
  if (!isRecord(params)) throw refuse('not an object');
  return params;
}

/** The gateway lists its methods when it lets a client in; the few that it keeps to itself are no guess worth making. */
function unknownMethod(cause: unknown, similar: string | undefined): Error {
  const { details } = cause as { details?: unknown };
  const list = 'docs/reference/protocol.md lists the methods.';
  return durarError('DUR_GATEWAY_RPC', { reason: errorText(cause) }, { hint: similar === undefined ? list : `Did you mean '${similar}'? ${list}`, details });
}
