import { durarError, type SecretsProvider } from '../../sdk/index.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { createGeneration } from '../kernel/activation.ts';
import { silentLogger } from '../logging/logger.ts';
import { createLogging } from '../logging/logging.ts';
import { isSecretRef, resolveRefs, type SecretResolution, sourceSettings } from '../secrets/activate.ts';
import type { CommandContext } from './command.ts';
import type { Outlook } from './planning.ts';
import { createStages } from './stages.ts';
import { readHostVersion } from './version.ts';

type Refs = Parameters<typeof resolveRefs>[0];

/** Resolves references in this process: only the extensions of their sources are loaded, and only these ids are asked for. */
export async function resolveHere({ paths, env }: CommandContext, { loaded, plan }: Pick<Outlook, 'loaded' | 'plan'>, refs: Refs): Promise<SecretResolution> {
  const settings = sourceSettings(loaded.config);
  const log = createLogging({ level: 'silent', consoleLevel: 'silent', file: false });
  const stages = createStages({
    ...{ paths, env, log, version: readHostVersion(), verbose: false, loaded: loaded as LoadedConfig },
    room(room) {
      throw durarError('DUR_HOST_STARTING', { room });
    },
    mayStart: () => true,
  });
  const visible = stages.redact(loaded.config);
  const generation = createGeneration({
    number: 1,
    config: visible as unknown as Config,
    plan,
    log: silentLogger,
    products: new WeakMap(),
    codeDigest: stages.codeDigest,
    importEntry: stages.importEntry,
    createRuntime: stages.createRuntime,
    visibleConfig: () => visible,
  });
  try {
    const source = async (name: string): Promise<SecretsProvider | undefined> => (await generation.contribution('secretsProvider', name))?.value;
    return await resolveRefs(refs.filter(isSecretRef), { settings, source, env: loaded.env });
  } finally {
    await generation.retire();
  }
}
