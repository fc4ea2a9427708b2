import type { Action } from '../command.ts';
import { countOf } from '../count.ts';
import { findTarget } from '../gateway-target.ts';
import { viewGateway } from '../gateway-view.ts';
import { readOutlook } from '../planning.ts';
import { listPluginRows } from '../plugin-row.ts';
import { describeQueue } from '../queue-view.ts';
import { findRuntime } from '../runtime.ts';
import { describeUnavailable, GATEWAY_SECRETS, lookUpSecrets, type SecretState } from '../secrets/secret-lookup.ts';

/** `durar status`: live when a gateway answers, else what the configuration says. */
export const status: Action = async (context) => {
  const { output, paths } = context;
  const [target, runtime, answer, outlook] = await Promise.all([
    findTarget(context, { readOnly: true }),
    findRuntime(paths),
    viewGateway(context),
    readOutlook(context),
  ]);
  const view = 'view' in answer ? answer.view : undefined;
  const { loaded, plan } = outlook;
  const targets = context.options.all === true ? {} : { targets: GATEWAY_SECRETS };
  const secrets = (await lookUpSecrets(context, { command: 'status', outlook, ...targets })).states;
  const running = runtime.running || view !== undefined;
  const rows = listPluginRows(outlook);
  const agents = view?.health.agents.map(({ agentId }) => agentId) ?? agentsOf(loaded.config.agents);
  const channels = view?.health.channelOrder ?? Object.keys(loaded.config.channels ?? {});
  const findings = (view?.findings ?? plan.findings).filter(({ level }) => level !== 'info');
  const document = {
    gateway: {
      running,
      reachable: view !== undefined,
      url: target.url,
      ...(runtime.pid === undefined ? {} : { pid: runtime.pid }),
      ...(view === undefined ? {} : { version: view.version, uptimeMs: view.uptimeMs }),
    },
    agents,
    channels,
    slots: view?.slots ?? plan.slots,
    sessions: view?.sessions.count ?? null,
    queue: view?.queue ?? null,
    plugins: Object.fromEntries((['on', 'off', 'failed', 'broken'] as const).map((state) => [state, rows.filter((row) => row.status === state).length])),
    config: { file: loaded.file, exists: loaded.exists, valid: loaded.errors.length === 0 },
    stateDir: paths.stateDir,
    secrets,
    findings,
    ...('error' in answer && running ? { error: answer.error } : {}),
  };
  output.result(document, () => {
    const { paint } = output;
    const where = `${target.url}${runtime.pid === undefined ? '' : ` (process ${runtime.pid})`}`;
    const engine = view?.slots.contextEngine ?? plan.slots.contextEngine;
    const shadow = view?.slots.contextEngineShadow ?? plan.slots.contextEngineShadow;
    const shown = (slot: typeof engine) => ('failed' in slot || ('error' in slot && slot.error !== undefined) ? paint.error(`${slot.key} failed`) : slot.key);
    output.pairs([
      [
        'gateway',
        view !== undefined
          ? `${paint.success('running')} ${where}, up ${describeDuration(view.uptimeMs)}`
          : running
            ? `${paint.warn('running, but it does not answer')} ${where}`
            : `${paint.error('stopped')} ${where}`,
      ],
      ['version', view?.version],
      ['agents', agents.join(', ')],
      ['channels', channels.join(', ') || 'none'],
      ['sessions', view === undefined ? undefined : String(view.sessions.count)],
      ['queue', view?.queue === undefined ? undefined : describeQueue(view.queue)],
      [
        'engine',
        'trouble' in engine && engine.trouble !== undefined
          ? `${engine.key}, ${paint.warn(`the last turn failed by it (${engine.trouble.code})`)}`
          : shown(engine),
      ],
      ['shadow', shadow.key === 'none' ? undefined : `${shown(shadow)}, see \`durar context compare\``],
      [
        'plugins',
        Object.entries(document.plugins)
          .map(([state, count]) => `${count} ${state}`)
          .join(', '),
      ],
      ['config', `${loaded.file}${loaded.errors.length === 0 ? '' : paint.error(` (${countOf(loaded.errors.length, 'error')})`)}`],
      ['secrets', secrets.length === 0 ? undefined : secretsLine(secrets)],
      ['state', paths.stateDir],
    ]);
    for (const secret of secrets) if (secret.state === 'unavailable') output.line(`${paint.warn('!')} ${describeUnavailable(secret)}`);
    if (!running) output.line(paint.muted('\nStart it with `durar gateway run`.'));
    else if ('error' in answer) output.failure([answer.error]);
    if (findings.length > 0 || loaded.errors.length > 0)
      output.line(`\n${paint.warn('!')} ${countOf(findings.length + loaded.errors.length, 'problem')}; run \`durar doctor\`.`);
  });
};

function agentsOf(agents: { list?: ReadonlyArray<{ id: string }> | undefined }): string[] {
  return agents.list === undefined || agents.list.length === 0 ? ['main'] : agents.list.map(({ id }) => id);
}

/** `3 references: 2 available, 1 inactive`. */
function secretsLine(secrets: readonly SecretState[]): string {
  const count = (wanted: SecretState['state']) => secrets.filter(({ state }) => state === wanted).length;
  const parts = (['available', 'inactive', 'unavailable'] as const).filter((state) => count(state) > 0).map((state) => `${count(state)} ${state}`);
  return `${countOf(secrets.length, 'reference')}: ${parts.join(', ')}`;
}

function describeDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
