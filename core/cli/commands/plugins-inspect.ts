import { durarError } from '../../../sdk/errors.ts';
import { suggest } from '../../../sdk/suggest.ts';
import type { Action } from '../command.ts';
import { printFindings } from '../gateway/boot-report.ts';
import { viewGateway } from '../gateway-view.ts';
import { readOutlook } from '../planning.ts';
import { listPluginRows } from '../plugin-row.ts';
import { findRuntime } from '../runtime.ts';

/** `durar plugins inspect <id>`: the manifest's word, the install record, and what the running gateway found. */
export const pluginsInspect: Action = async (context) => {
  const { output, args } = context;
  const id = args[0] ?? '';
  const outlook = await readOutlook(context);
  const rows = listPluginRows(outlook);
  const row = rows.find((candidate) => candidate.id === id);
  if (row === undefined) {
    const similar = suggest(
      id,
      rows.map((candidate) => candidate.id),
    );
    throw durarError('DUR_INSTALL_NOT_INSTALLED', { id }, similar === undefined ? {} : { hint: `Did you mean \`durar plugins inspect ${similar}\`?` });
  }
  const asksGateway = context.options.url !== undefined || (await findRuntime(context.paths)).running;
  const answer = asksGateway ? await viewGateway(context) : undefined;
  const live = answer !== undefined && 'view' in answer ? answer.view.plugins.find((plugin) => plugin.id === id) : undefined;
  const entry = outlook.catalog.entries.get(id);
  const manifest = entry?.manifest;
  const unavailable = entry?.format === 'ancestor' ? await (await import('../../../sdk/ancestor/sources.ts')).listUnavailable(entry.root) : [];
  const findings = live?.findings ?? row.findings;
  output.result(
    {
      ...row,
      findings,
      ...(entry?.format === 'ancestor' ? { unavailable } : {}),
      ...(manifest === undefined ? {} : { manifest }),
      ...(live === undefined ? {} : { gateway: live }),
    },
    () => {
      output.pairs([
        ['id', output.paint.bold(row.id)],
        ['name', row.name],
        ['about', manifest?.description],
        ['version', row.version],
        ['status', `${row.status} (${row.reason})`],
        ['gateway', live === undefined ? undefined : live.status],
        ['origin', row.origin],
        ['format', row.format],
        ['folder', row.root],
        ['manifest', row.manifestFile],
        ['installed', row.install === undefined ? undefined : `${row.install.source} ${row.install.spec}, ${row.install.installedAt}`],
        ['integrity', row.install?.integrity],
        ['settings', manifest === undefined ? undefined : Object.keys((manifest.configSchema.properties as object | undefined) ?? {}).join(', ') || 'none'],
      ]);
      if (row.provides.length > 0) output.line('');
      for (const provided of row.provides) output.line(`  ${provided}`);
      if (unavailable.length > 0) output.line('\nnot available in this version, throws when it is called:');
      for (const member of unavailable) output.line(`  ${member}`);
      printFindings(findings, output);
    },
  );
  return row.status === 'failed' || row.status === 'broken' ? 1 : 0;
};
