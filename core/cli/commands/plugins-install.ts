import { CONTRIBUTION_ROWS, type ContributionKind } from '../../../sdk/contributions.ts';
import { durarError } from '../../../sdk/errors.ts';
import { manifestKinds } from '../../../sdk/manifest-fields.ts';
import type { InstallReport, UpdateReport } from '../../install/installer.ts';
import type { Action } from '../command.ts';
import { withInstaller } from '../installing.ts';
import { readOutlook } from '../planning.ts';
import { listPluginRows } from '../plugin-row.ts';
import { printApplied, reloadGateway } from '../reload.ts';

interface InstallOptions {
  link?: true;
  pin?: true;
  yes?: true;
  force?: true;
}

/** `durar plugins install <spec>` */
export const pluginsInstall: Action = async (context) => {
  const { output, args } = context;
  const { link, pin, yes, force } = context.options as InstallOptions;
  const report = await withInstaller(context, (installer) =>
    installer.install(args[0] ?? '', { link: link === true, pin: pin === true, yes: yes === true, force: force === true }),
  );
  const applied = await reloadGateway(context);
  const outlook = await readOutlook(context);
  const next = nextSteps(report, outlook);
  output.result({ ok: applied.gateway !== 'refused', ...report, ...applied, next }, () => {
    const { paint } = output;
    const version = report.record.resolvedVersion;
    output.line(
      `${paint.success('✓')} ${paint.bold(report.id)}${version === undefined ? '' : ` ${version}`} ${report.status} ${paint.muted(`(${report.record.root})`)}`,
    );
    const row = listPluginRows(outlook).find(({ id }) => id === report.id);
    if (row !== undefined && row.provides.length > 0) output.line(`  ${row.provides.join(', ')}`);
    printApplied(applied, context);
    for (const step of next) output.line(`  ${step}`);
  });
  return applied.gateway === 'refused' ? 1 : 0;
};

/** `durar plugins update [id] | --all` */
export const pluginsUpdate: Action = async (context) => {
  const { output, args } = context;
  const { all, dryRun, yes } = context.options as { all?: true; dryRun?: true; yes?: true };
  const id = args[0];
  if ((id === undefined) === (all !== true))
    throw durarError('DUR_CLI_USAGE', { reason: 'name one extension, or give --all' }, { hint: 'Run `durar plugins update --all`.' });
  const settings = { dryRun: dryRun === true, yes: yes === true };
  const reports = await withInstaller(context, async (installer) =>
    id === undefined ? await installer.updateAll(settings) : [await installer.update(id, settings)],
  );
  const changed = reports.some(({ status }) => status === 'updated');
  const applied = changed ? await reloadGateway(context) : undefined;
  const ok = !reports.some(({ status }) => status === 'failed') && applied?.gateway !== 'refused';
  output.result({ ok, updates: reports, ...applied }, () => {
    if (reports.length === 0) output.line('Nothing is installed.');
    output.table(['id', 'status', 'from', 'to'], reports.map(updateCells));
    const errors = reports.flatMap(({ error }) => (error === undefined ? [] : [error]));
    if (errors.length > 0) output.failure(errors);
    if (applied !== undefined) printApplied(applied, context);
  });
  return ok ? 0 : 1;
};

function updateCells({ id, status, from, to }: UpdateReport): string[] {
  return [id, status === 'skipped' ? 'linked' : status, from ?? '-', to ?? '-'];
}

/** The command lines that bring what was installed into use. What takes a slot need not be declared: then it was found when it was tried. */
function nextSteps({ id, verification }: InstallReport, { catalog, plan }: Awaited<ReturnType<typeof readOutlook>>): string[] {
  const made = verification.extensions.find((extension) => extension.id === id)?.contributes ?? {};
  const ofSlots = Object.entries(made).filter(([kind]) => CONTRIBUTION_ROWS[kind as ContributionKind].slot !== undefined);
  const entry = catalog.entries.get(id);
  const declares = { ...Object.fromEntries(ofSlots), ...entry?.declares };
  const steps: string[] = [];
  // the slot of memories is served by the extension itself
  if (entry !== undefined && manifestKinds(entry.manifest).includes('memory') && plan.slots.memory.key !== id) {
    steps.push(`durar config set plugins.slots.memory ${id}`);
  }
  for (const [kind, keys] of Object.entries(declares) as Array<[ContributionKind, string[]]>) {
    const { slot } = CONTRIBUTION_ROWS[kind];
    // some register one engine under several ids, the shared `default` among them
    const key = keys.find((name) => name === id) ?? keys.find((name) => name !== 'default') ?? keys[0];
    if (slot !== undefined && slot !== 'memory' && key !== undefined && plan.slots[slot].key !== key)
      steps.push(`durar config set plugins.slots.${slot} ${key}`);
    if (kind === 'channel' && key !== undefined) steps.push(`durar config set channels.${key}.enabled true`);
    if (kind === 'provider') steps.push(`durar models list --provider ${key}`);
  }
  return [...new Set(steps)];
}
