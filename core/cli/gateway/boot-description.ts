import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CONTRIBUTION_ROWS, type ContributionKind, errorText, SLOTS, type SlotName } from '../../../sdk/index.ts';
import { agentEntry, defaultAgentId, defaultModelRef } from '../../agent/settings.ts';
import type { Paths } from '../../config/paths.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { Host } from '../../kernel/host.ts';
import type { PlannedExtension } from '../../manifest/catalog.ts';
import { bundledDir } from '../version.ts';
import type { BootReport } from './boot-report.ts';

/** More keys of one kind than this are counted instead of listed. */
const MOST_KEYS = 3;

/** What a gateway that has come up tells its operator. */
export async function describeBoot({ host, paths, version, url }: { host: Host; paths: Paths; version: string; url: string }): Promise<BootReport> {
  const generation = host.current();
  const packageDir = dirname(bundledDir());
  // npm links the command of an installed package; in a checkout npx finds it
  const command = existsSync(join(packageDir, 'core/cli/main.ts')) ? 'npx durar' : 'durar';
  return {
    version,
    packageDir,
    home: paths.home,
    url,
    stateDir: paths.stateDir,
    configFile: paths.configFile,
    model: defaultModelRef(generation.config, agentEntry(generation.config, defaultAgentId(generation.config))),
    loaded: [...generation.plan.extensions.values()].filter(({ enabled }) => enabled).map(describeExtension),
    slots: await describeSlots(generation),
    findings: generation.findings.filter(({ level }) => level !== 'info'),
    firstSteps: ['agent --message "hello"', 'chat', 'status', 'plugins list'].map((words) => `${command} ${words}`),
  };
}

function describeExtension({ entry }: PlannedExtension): BootReport['loaded'][number] {
  const provides = (Object.entries(entry.declares) as Array<[ContributionKind, string[]]>).map(([kind, keys]) => {
    const { noun } = CONTRIBUTION_ROWS[kind];
    return keys.length > MOST_KEYS ? `${keys.length} ${noun}s` : `${noun} ${keys.join(', ')}`;
  });
  return { id: entry.id, origin: entry.origin, manifestFile: entry.manifestFile, provides };
}

/** What serves each slot now, or why nothing does. Slots without an occupant are left out. For what works aside nobody waits: its choice is told. */
export async function describeSlots(generation: Generation): Promise<BootReport['slots']> {
  const slots: BootReport['slots'] = {};
  for (const name of Object.keys(SLOTS) as SlotName[]) {
    const choice = generation.plan.slots[name];
    const { key } = choice;
    if (SLOTS[name].aside && !('failed' in choice)) {
      if ('owner' in choice) slots[name] = { key, owner: choice.owner };
      continue;
    }
    try {
      const occupant = await generation.slot(name);
      if (occupant !== undefined) slots[name] = { key, owner: occupant.owner };
    } catch (error) {
      slots[name] = { key, error: errorText(error) };
    }
  }
  return slots;
}
