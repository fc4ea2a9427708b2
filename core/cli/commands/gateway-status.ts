import { type ErrorReport, reportError } from '../../../sdk/errors.ts';
import type { Action } from '../command.ts';
import { findTarget } from '../gateway-target.ts';
import { openRpc } from '../rpc.ts';
import { findRuntime } from '../runtime.ts';

/** `durar gateway status`: 0 while one runs (with `--require-rpc`: and answers), else 1. */
export const gatewayStatus: Action = async (context) => {
  const { output, options, paths } = context;
  const probing = options.probe !== false;
  const target = await findTarget(context);
  const runtime = await findRuntime(paths);
  const probe = probing ? await tryConnect(context) : undefined;
  // A gateway that answers runs, whatever service or state folder it has.
  const running = runtime.running || probe?.ok === true;
  const pid = runtime.pid ?? probe?.pid;
  const document = {
    ok: running && (!options.requireRpc || probe?.ok === true),
    runtime: { status: running ? 'running' : 'stopped', ...(pid === undefined ? {} : { pid }) },
    url: target.url,
    configPath: paths.configFile,
    stateDir: paths.stateDir,
    ...(probe === undefined ? {} : { rpc: probe }),
  };
  output.result(document, () => {
    const { paint } = output;
    output.line(`Runtime: ${running ? paint.success('running') : paint.error('stopped')}${pid === undefined ? '' : ` (process ${pid})`}`);
    if (probe !== undefined) output.line(`RPC probe: ${probe.ok ? paint.success('ok') : paint.error('failed')}`);
    output.pairs([
      ['Probe URL:', target.url],
      ['Version:', probe?.version],
      ['Config:', paths.configFile],
      ['State:', paths.stateDir],
    ]);
    if (probe?.error !== undefined) output.failure([probe.error]);
  });
  return document.ok ? 0 : 1;
};

async function tryConnect(context: Parameters<Action>[0]): Promise<{ ok: boolean; version?: string; pid?: number; error?: ErrorReport }> {
  try {
    const rpc = await openRpc(context);
    const { host } = (await rpc.call('status', {}).finally(() => rpc.close())) as { host?: { pid?: number } };
    return { ok: true, version: rpc.version, ...(host?.pid === undefined ? {} : { pid: host.pid }) };
  } catch (error) {
    return { ok: false, error: reportError(error) };
  }
}
