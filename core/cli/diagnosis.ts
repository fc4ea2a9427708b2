import { access, constants } from 'node:fs/promises';
import { type ErrorReport, errorCode, errorText, reportError } from '../../sdk/errors.ts';
import { findExposures } from '../gateway/exposure.ts';
import { verifyFolder } from '../install/verify.ts';
import type { Check } from './check.ts';
import type { CommandContext } from './command.ts';
import type { EngineTrouble } from './engine-trouble.ts';
import { type GatewayView, viewGateway } from './gateway-view.ts';
import { checkPermissions } from './permissions.ts';
import { type Outlook, readOutlook } from './planning.ts';
import { listPluginRows } from './plugin-row.ts';
import { findRuntime } from './runtime.ts';
import { credentialChecks, credentialFiles } from './secrets/credential-checks.ts';
import { describeUnavailable, lookUpSecrets } from './secrets/secret-lookup.ts';
import { lookUpStored } from './secrets/stored-lookup.ts';
import { readHostVersion } from './version.ts';

export interface DiagnosisOptions {
  fix: boolean;
  /** `plugins`: only what concerns extensions. */
  scope: 'all' | 'plugins';
}

/** Looks at everything; never stops at the first problem. */
export async function diagnose(context: CommandContext, { fix, scope }: DiagnosisOptions): Promise<Check[]> {
  const outlook = await readOutlook(context);
  const answer = await viewGateway(context);
  const view = 'view' in answer ? answer.view : undefined;
  const host =
    scope === 'plugins'
      ? []
      : [
          ...configChecks(outlook),
          ...exposureChecks(outlook),
          ...(await secretChecks(context, outlook)),
          ...(await credentialChecks(context, outlook)),
          ...(await stateChecks(context, [...credentialFiles(context, outlook).values()], fix)),
          await gatewayCheck(context, view, 'error' in answer ? answer.error : undefined),
        ];
  const refused = (view?.refused ?? []).map((report) =>
    fromReport('refused', 'error', { ...report, message: `the gateway refused what is on disk now and goes on as before: ${report.message}` }),
  );
  return [...host, ...refused, ...(await slotChecks(context, outlook, view)), ...findingChecks(outlook, view), ...idleChecks(outlook)];
}

function configChecks({ loaded }: Outlook): Check[] {
  if (loaded.errors.length > 0) return loaded.errors.map((error) => fromReport('config', 'error', reportError(error)));
  const message = loaded.exists ? `${loaded.file} is valid` : `${loaded.file} does not exist; the defaults count`;
  return [{ id: 'config', status: 'ok', message }, ...loaded.warnings.map((warning) => fromReport('config', 'warn', reportError(warning)))];
}

function exposureChecks({ loaded }: Outlook): Check[] {
  if (loaded.errors.length > 0) return [];
  return findExposures(loaded.config.gateway).map(({ path, message, hint }) => ({ id: path, status: 'warn', message, hint }));
}

async function secretChecks(context: CommandContext, outlook: Outlook): Promise<Check[]> {
  if (outlook.loaded.errors.length > 0) return [];
  const [own, stored] = await Promise.all([lookUpSecrets(context, { command: 'doctor', outlook }), lookUpStored(context, outlook)]);
  const states = [...own.states, ...stored];
  const missing = states.filter(({ state }) => state === 'unavailable');
  const used = states.filter(({ state }) => state === 'available').length;
  return [
    ...missing.map(
      (secret): Check => ({
        id: `secret.${secret.path}`,
        status: 'warn',
        message: describeUnavailable(secret),
        hint: 'Run it where the gateway runs, or see whether the source has it; a gateway does not start without.',
      }),
    ),
    ...(used === 0
      ? []
      : [
          {
            id: 'secrets',
            status: 'ok' as const,
            message: `${used} of the secrets that the configuration and stored credentials refer to ${used === 1 ? 'is' : 'are'} there`,
          },
        ]),
  ];
}

async function stateChecks({ paths }: CommandContext, more: readonly string[], fix: boolean): Promise<Check[]> {
  try {
    await access(paths.stateDir, constants.W_OK);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [{ id: 'state', status: 'info', message: `${paths.stateDir} does not exist yet; the first gateway makes it` }];
    return [
      { id: 'state', status: 'error', message: `${paths.stateDir} cannot be written: ${errorText(error)}`, hint: 'Correct its owner or its permissions.' },
    ];
  }
  const loose = await checkPermissions(paths, more, fix);
  if (loose.length === 0) return [{ id: 'permissions', status: 'ok', message: `${paths.stateDir} is yours alone` }];
  return loose.map(({ path, mode, wanted, fixed }) =>
    fixed
      ? { id: 'permissions', status: 'ok', message: `${path} had mode ${mode} and has ${wanted} now` }
      : {
          id: 'permissions',
          status: 'error',
          message: `${path} has mode ${mode}, so others can use it`,
          hint: `Run \`durar doctor --fix\`, or \`chmod ${wanted} ${path}\`.`,
        },
  );
}

async function gatewayCheck({ paths }: CommandContext, view: GatewayView | undefined, error: ErrorReport | undefined): Promise<Check> {
  if (view !== undefined) return { id: 'gateway', status: 'ok', message: `the gateway answers at ${view.url}` };
  const { running, pid } = await findRuntime(paths);
  if (!running) return { id: 'gateway', status: 'warn', message: 'no gateway runs', hint: 'Start one with `durar gateway run`.' };
  const reason = error === undefined ? '' : `: ${error.message}`;
  return {
    id: 'gateway',
    status: 'error',
    message: `a gateway runs${pid === undefined ? '' : ` (process ${pid})`} but does not answer${reason}`,
    hint: error?.hint ?? '',
  };
}

const SLOT_NOUNS: Readonly<Record<string, string>> = {
  contextEngine: 'context engine',
  contextEngineShadow: 'shadow engine',
  sessionStore: 'session store',
};

/** What serves each slot: as the running gateway says, else as the plan would have it, the context engine tried in a process of its own. */
async function slotChecks({ env }: CommandContext, { plan }: Outlook, view: GatewayView | undefined): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [slot, choice] of Object.entries(plan.slots)) {
    const id = `slot.${slot}`;
    const name = SLOT_NOUNS[slot] ?? slot;
    if (slot === 'contextEngineShadow' && 'none' in choice) continue;
    const live = view?.slots[slot];
    if (live?.error !== undefined) checks.push(failedSlot(id, name, live.key, live.error));
    else if (live?.trouble !== undefined) checks.push(troubledEngine(id, name, live.key, live.trouble));
    else if (live !== undefined)
      checks.push({ id, status: live.owner === undefined ? 'info' : 'ok', message: `${name}: ${live.owner === undefined ? 'none' : `${live.key} is active`}` });
    else if ('failed' in choice) checks.push(failedSlot(id, name, choice.key, choice.failed));
    else if ('none' in choice) checks.push({ id, status: 'info', message: `${name}: none` });
    else {
      const entry = plan.extensions.get(choice.owner)?.entry;
      // What is part of the host is tested with it.
      const mustTry = slot.startsWith('contextEngine') && entry !== undefined && entry.origin !== 'bundled';
      checks.push(mustTry ? await tryEngine(id, name, choice.key, entry.root, env) : { id, status: 'ok', message: `${name}: ${choice.key} is selected` });
    }
  }
  return checks;
}

async function tryEngine(id: string, name: string, key: string, root: string, env: NodeJS.ProcessEnv): Promise<Check> {
  const report = await verifyFolder({ root, hostVersion: readHostVersion(), env, suites: false });
  const failed = report.checks.find((check) => check.status === 'fail');
  if (failed === undefined) return { id, status: 'ok', message: `${name}: ${key} is selected and loads` };
  return failedSlot(id, name, key, {
    hint: `Run \`durar plugins verify ${root}\` for the whole report.`,
    ...failed,
    message: failed.message ?? failed.title,
  });
}

function troubledEngine(id: string, name: string, key: string, { code, sessionKey, runId }: EngineTrouble): Check {
  return {
    id,
    status: 'warn',
    code,
    message: `${name}: ${key} is active, and the last turn that it served failed by it (session ${sessionKey}, run ${runId})`,
    hint: 'Run `durar logs` for its words. Correct it and run `durar gateway call plugins.reload`, or run `durar config set plugins.slots.contextEngine legacy`.',
  };
}

function failedSlot(id: string, name: string, key: string, { code, message, hint }: { code?: string; message: string; hint?: string }): Check {
  return {
    id,
    status: 'error',
    ...(code === undefined ? {} : { code }),
    message: `${name} '${key}' fails: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  };
}

/** Findings of the running generation where there is one: it knows more than the plan. A failed slot has been told already. */
function findingChecks({ plan }: Outlook, view: GatewayView | undefined): Check[] {
  return (view?.findings ?? plan.findings)
    .filter(({ level, code }) => level !== 'info' && !code.startsWith('DUR_SLOT_'))
    .map((finding) => fromReport(finding.owner.extension === undefined ? 'finding' : `plugin.${finding.owner.extension}`, finding.level, finding));
}

function idleChecks(outlook: Outlook): Check[] {
  return listPluginRows(outlook)
    .filter(({ status }) => status === 'off')
    .map(({ id, reason }) => ({
      id: `plugin.${id}`,
      status: 'info',
      message: `'${id}' is off: ${reason}`,
      hint: `Run \`durar plugins enable ${id}\` to use it.`,
    }));
}

function fromReport(id: string, status: Check['status'], { code, message, hint }: { code: string; message: string; hint?: string }): Check {
  return { id, status, code, message, ...(hint === undefined || hint === '' ? {} : { hint }) };
}
