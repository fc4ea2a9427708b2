import { rm } from 'node:fs/promises';
import { DurarError, durarError } from '../../sdk/errors.ts';
import type { LoadedConfig } from '../config/load.ts';
import { writeConfig } from '../config/write.ts';
import type { CommandContext } from './command.ts';
import { assertNoWorse, readOutlook } from './planning.ts';
import { type Applied, reloadGateway } from './reload.ts';

export interface ConfigChange {
  changed: boolean;
  file: string;
  /** Absent in a dry run and when nothing changed. */
  applied?: Applied;
}

/** Stops a dry run where the file would be written. */
const STOP = new Error('dry run');

export interface ChangeOptions {
  dryRun?: boolean;
  /** The operator takes something away on purpose: what fails without it does not stop the change. */
  lenient?: boolean;
}

/**
 * Changes the configuration file by way of its text, and the running gateway with it. A candidate that does not validate, that makes something
 * fail which works today, or that the gateway refuses, is thrown and leaves the file as it was.
 */
export async function changeConfig(
  context: CommandContext,
  edit: (text: string) => string | Promise<string>,
  { dryRun = false, lenient = false }: ChangeOptions = {},
): Promise<ConfigChange> {
  const { paths, env } = context;
  const before = await readOutlook(context);
  let changed = false;
  let next: LoadedConfig = before.loaded;
  try {
    next = await writeConfig({
      paths,
      env,
      allow: 'repair',
      edit,
      async approve(candidate) {
        if (!lenient) assertNoWorse(before, await readOutlook(context, { loaded: candidate, records: before.records }));
        changed = true;
        if (dryRun) throw STOP;
      },
    });
  } catch (error) {
    if (error !== STOP) throw error;
  }
  const file = paths.configFile;
  if (!changed || dryRun) return { changed, file };
  if (next.config.gateway.reload.mode === 'off') return { changed, file, applied: { gateway: 'off' } };
  const applied = await reloadGateway(context);
  if (applied.gateway === 'refused' && lenient) return { changed, file, applied: { gateway: 'following' } };
  if (applied.gateway === 'refused') {
    await restore(context, before.loaded);
    throw refusal(applied);
  }
  return { changed, file, applied };
}

async function restore({ paths, env }: CommandContext, { raw, exists, file }: LoadedConfig): Promise<void> {
  if (exists) await writeConfig({ paths, env, allow: 'repair', edit: () => raw });
  else await rm(file, { force: true });
}

function refusal({ error }: Applied): DurarError {
  if (error === undefined) return durarError('DUR_CLI_USAGE', { reason: 'the gateway refused the change' });
  const { code, message, hint, owner } = error;
  return new DurarError(code, message, { hint, owner });
}
