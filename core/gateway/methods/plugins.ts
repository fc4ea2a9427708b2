import type { PluginsListResult } from '../../../sdk/protocol/generated/types.ts';
import type { PlannedExtension } from '../../manifest/catalog.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

type PluginRow = PluginsListResult['plugins'][number];
type Finding = PluginsListResult['findings'][number];

export function pluginsMethods(context: GatewayContext): MethodFamily<'plugins.list' | 'plugins.reload'> {
  return {
    'plugins.list'() {
      const generation = context.source.current();
      const findings = generation.findings as unknown as Finding[];
      const byOwner = Map.groupBy(findings, (finding) => String(finding.owner.extension ?? ''));
      return {
        generation: generation.number,
        plugins: [...generation.plan.extensions.values()].map((planned) => pluginRow(planned, byOwner.get(planned.entry.id) ?? [])),
        slots: generation.plan.slots as unknown as Record<string, Record<string, unknown>>,
        findings,
      };
    },

    async 'plugins.reload'() {
      return { ok: true, report: await context.control.reload({ forEdit: true }) };
    },
  };
}

function pluginRow({ entry, enabled, reason, blocked }: PlannedExtension, findings: Finding[]): PluginRow {
  const { manifest } = entry;
  const version = entry.version ?? manifest.version;
  const isFailed = blocked !== undefined || findings.some(({ level }) => level === 'error');
  return {
    id: entry.id,
    ...(manifest.name === undefined ? {} : { name: manifest.name }),
    ...(manifest.description === undefined ? {} : { description: manifest.description }),
    ...(version === undefined ? {} : { version }),
    ...(manifest.kind === undefined ? {} : { kind: [manifest.kind].flat() }),
    origin: entry.origin,
    format: entry.format,
    enabled,
    reason,
    status: !enabled ? 'disabled' : isFailed ? 'failed' : 'ok',
    declares: entry.declares,
    findings,
  };
}
