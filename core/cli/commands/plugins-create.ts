import { relative } from 'node:path';
import { SLOTS } from '../../../sdk/contributions.ts';
import { durarError } from '../../../sdk/errors.ts';
import { createPlugin, TEMPLATES, type TemplateKind } from '../../install/create.ts';
import type { Action } from '../command.ts';
import { readHostVersion } from '../version.ts';

/** `durar plugins create <folder> --kind <kind>` */
export const pluginsCreate: Action = async ({ args, options, output }) => {
  const { kind, id } = options as { kind?: TemplateKind; id?: string };
  if (kind === undefined) throw durarError('DUR_CLI_USAGE', { reason: '--kind is missing' }, { hint: `Use one of ${Object.keys(TEMPLATES).join(', ')}.` });
  const report = await createPlugin({ dir: args[0] ?? '', kind, hostVersion: readHostVersion(), ...(id === undefined ? {} : { id }) });
  const folder = `./${relative(process.cwd(), report.dir)}`;
  const slot = Object.entries(SLOTS).find(([, row]) => row.kind === kind)?.[0];
  const next = [
    `durar plugins verify ${folder}`,
    `durar plugins install -l ${folder}`,
    ...(slot === undefined ? [] : [`durar config set plugins.slots.${slot} ${report.id}`]),
  ];
  output.result({ ok: true, ...report, next }, () => {
    const { paint } = output;
    output.line(`${paint.success('✓')} ${paint.bold(report.id)}, a ${TEMPLATES[kind]}, is in ${report.dir}`);
    for (const file of report.files) output.line(`  ${paint.muted(file)}`);
    output.line('\nNext:');
    for (const step of next) output.line(`  ${step}`);
  });
};
