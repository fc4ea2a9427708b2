import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LoadedConfig } from '../config/load.ts';
import { loadConfig } from '../config/load.ts';
import type { Environment, Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { readRecords, recordsFile } from '../install/records.ts';
import type { Logger } from '../logging/logger.ts';
import type { Plan } from '../manifest/catalog.ts';
import { type DiscoveredCatalog, discover } from '../manifest/discover.ts';
import { createPlan } from '../manifest/plan.ts';
import { type ConfigValidator, createConfigValidator } from '../manifest/validator.ts';

/** Reads what a generation is made of: configuration, manifests, plan. No extension code runs. */
export interface Survey {
  loadConfig(): Promise<LoadedConfig>;
  discover(config: Config): Promise<DiscoveredCatalog>;
  plan(config: Config, catalog: DiscoveredCatalog): Plan;
}

export interface SurveyOptions {
  paths: Paths;
  env: Environment;
  version: string;
  log: Logger;
}

/** Where the bundled extensions are: beside `core`, in a checkout and in the built package alike. */
export function bundledDir(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'extensions')) && dirname(folder) !== folder) folder = dirname(folder);
  return join(folder, 'extensions');
}

export function createSurvey({ paths, env, version, log }: SurveyOptions): Survey {
  const validator: ConfigValidator = createConfigValidator();
  return {
    loadConfig: () => loadConfig({ paths, env }),
    async discover(config) {
      const records = await readRecords(recordsFile(paths.stateDir));
      const installed = Object.entries(records.plugins).map(([id, { root }]) => ({ id, root }));
      return discover({ config, paths, bundledDir: bundledDir(), installed, workspaceDir: config.agents.defaults.workspace, log, hostVersion: version, env });
    },
    plan: (config, catalog) => createPlan({ config, catalog, hostVersion: version, validator }),
  };
}
