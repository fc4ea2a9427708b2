import { rm } from 'node:fs/promises';
import { DurarError, durarError, errorCode } from '../../../sdk/errors.ts';
import { hashFile, type LoadedConfig } from '../../config/load.ts';
import { writeConfig } from '../../config/write.ts';
import type { CommandContext } from '../command.ts';
import { assertNoWorse, type Outlook, readOutlook } from '../planning.ts';
import { type Applied, openLine, reloadGateway } from '../reload.ts';
import type { Rpc } from '../rpc.ts';
import { type ConfigEffect, effectBetween } from './config-effect.ts';

export interface ConfigChange {
  changed: boolean;
  file: string;
  /** Absent in a dry run and when nothing changed. */
  applied?: Applied;
  /** Of a dry run that would change something: what it would do to a gateway that uses the present configuration. */
  effect?: ConfigEffect;
  candidate?: Outlook;
}

/** Stops a dry run where the file would be written. */
const STOP = new Error('dry run');
const TRIES = 5;

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
  let before = await readOutlook(context);
  let changed = false;
  let after: Outlook | undefined;
  let present = before.loaded;
  let written = present;
  let line: Rpc | undefined;
  const approve = async (candidate: LoadedConfig) => {
    after = lenient && !dryRun ? undefined : await readOutlook(context, { loaded: candidate, records: before.records });
    if (!lenient && after !== undefined) assertNoWorse(before, after);
    changed = true;
    if (dryRun) throw STOP;
    line ??= await openLine(context);
  };
  for (let left = TRIES; ; left -= 1) {
    try {
      written = await writeConfig({
        paths,
        env,
        allow: 'repair',
        approve,
        edit(text, loaded) {
          present = loaded;
          return edit(text);
        },
      });
      break;
    } catch (error) {
      if (error === STOP) break;
      // Somebody else wrote meanwhile; the edit is made again, to what is there now.
      if (left === 1 || errorCode(error) !== 'DUR_CONFIG_CHANGED') {
        line?.close();
        throw error;
      }
      before = await readOutlook(context);
    }
  }
  const file = paths.configFile;
  if (dryRun && after !== undefined) return { changed, file, effect: effectBetween(before, after), candidate: after };
  if (!changed || dryRun) return { changed, file };
  if (before.loaded.config.gateway.reload.mode === 'off') {
    line?.close();
    return { changed, file, applied: { gateway: 'off' } };
  }
  const applied = await reloadGateway(context, line);
  if (applied.gateway === 'refused' && lenient) return { changed, file, applied: { gateway: 'following' } };
  if (applied.gateway === 'refused') {
    await restore(context, present, written.hash);
    throw refusal(applied);
  }
  return { changed, file, applied };
}

/** Puts back what was there, unless somebody else wrote since. */
async function restore({ paths, env }: CommandContext, { raw, exists, file }: LoadedConfig, baseHash: string): Promise<void> {
  try {
    if (exists) await writeConfig({ paths, env, allow: 'repair', baseHash, edit: () => raw });
    else if ((await hashFile(file)) === baseHash) await rm(file, { force: true });
  } catch (error) {
    if (errorCode(error) !== 'DUR_CONFIG_CHANGED') throw error;
  }
}

function refusal({ error }: Applied): DurarError {
  if (error === undefined) return durarError('DUR_CLI_USAGE', { reason: 'the gateway refused the change' });
  const { code, message, hint, owner } = error;
  return new DurarError(code, message, { hint, owner });
}
