import { DurarError } from '../../sdk/errors.ts';
import { checkChannels } from '../channels/access/access-check.ts';
import type { LoadedConfig } from '../config/load.ts';
import { loadConfig } from '../config/load.ts';
import type { Paths } from '../config/paths.ts';
import { type InstallRecord, readRecords, recordsFile } from '../install/records.ts';
import { silentLogger } from '../logging/logger.ts';
import type { Plan } from '../manifest/catalog.ts';
import { type DiscoveredCatalog, discover } from '../manifest/discover.ts';
import { createPlan } from '../manifest/plan.ts';
import { checkProviderBlocks } from '../secrets/provider-blocks.ts';
import { bundledDir, readHostVersion } from './version.ts';

/** What a gateway would start with, seen from outside: manifests and configuration are read, no extension runs. */
export interface Outlook {
  loaded: LoadedConfig;
  catalog: DiscoveredCatalog;
  plan: Plan;
  records: Record<string, InstallRecord>;
}

/** What stands in for a file that is not written yet. */
export interface Candidate {
  loaded?: LoadedConfig;
  records?: Record<string, InstallRecord>;
}

/** Builds the plan of what is on disk, or of a candidate for it. A configuration with errors counts by its valid parts. */
export async function readOutlook({ paths, env }: { paths: Paths; env: NodeJS.ProcessEnv }, candidate: Candidate = {}): Promise<Outlook> {
  const [loaded, records] = await Promise.all([
    candidate.loaded ?? loadConfig({ paths, env }),
    candidate.records ?? readRecords(recordsFile(paths.stateDir)).then(({ plugins }) => plugins),
  ]);
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
  const made = createPlan({ config, catalog, hostVersion });
  const plan = { ...made, findings: [...made.findings, ...checkChannels(config)] };
  const errors = [...loaded.errors, ...checkProviderBlocks(config, plan, loaded.file)];
  return { loaded: { ...loaded, errors }, catalog, plan, records };
}

/** Our own writes are stricter than a boot: throws the first error that the candidate has and the present does not. */
export function assertNoWorse(before: Outlook, after: Outlook): void {
  const problems = ({ loaded, plan }: Outlook) => [
    ...loaded.errors,
    ...plan.findings.filter(({ level }) => level === 'error').map(({ code, message, hint, owner }) => new DurarError(code, message, { hint, owner })),
  ];
  const known = new Set(problems(before).map(({ code, message }) => `${code} ${message}`));
  const worse = problems(after).find(({ code, message }) => !known.has(`${code} ${message}`));
  if (worse !== undefined) throw worse;
}
