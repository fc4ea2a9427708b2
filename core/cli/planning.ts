import type { LoadedConfig } from '../config/load.ts';
import { loadConfig } from '../config/load.ts';
import type { Paths } from '../config/paths.ts';
import { type InstallRecord, readRecords, recordsFile } from '../install/records.ts';
import { silentLogger } from '../logging/logger.ts';
import type { Plan } from '../manifest/catalog.ts';
import { type DiscoveredCatalog, discover } from '../manifest/discover.ts';
import { createPlan } from '../manifest/plan.ts';
import { bundledDir, readHostVersion } from './version.ts';

/** What a gateway would start with, seen from outside: manifests and configuration are read, no extension runs. */
export interface Outlook {
  loaded: LoadedConfig;
  catalog: DiscoveredCatalog;
  plan: Plan;
  records: Record<string, InstallRecord>;
}

/** Builds the plan of the configuration on disk, or of a candidate for it. A configuration with errors counts by its valid parts. */
export async function readOutlook({ paths, env }: { paths: Paths; env: NodeJS.ProcessEnv }, candidate?: LoadedConfig): Promise<Outlook> {
  const [loaded, { plugins: records }] = await Promise.all([candidate ?? loadConfig({ paths, env }), readRecords(recordsFile(paths.stateDir))]);
  const hostVersion = readHostVersion();
  const { config } = loaded;
  const catalog = await discover({
    config,
    paths,
    bundledDir: bundledDir(),
    installed: Object.entries(records).map(([id, { root }]) => ({ id, root })),
    workspaceDir: config.agents.defaults.workspace,
    log: silentLogger,
    hostVersion,
    env,
  });
  return { loaded, catalog, plan: createPlan({ config, catalog, hostVersion }), records };
}
