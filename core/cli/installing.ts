import { createInstaller, type Installer, type InstallProgress } from '../install/installer.ts';
import { createLogging } from '../logging/logging.ts';
import type { CommandContext } from './command.ts';
import type { Progress } from './output.ts';
import { assertNoWorse, type Outlook, readOutlook } from './planning.ts';
import { readHostVersion } from './version.ts';

const STEPS: Record<InstallProgress['step'], string> = {
  resolve: 'looking up',
  download: 'fetching',
  dependencies: 'installing the dependencies of',
  verify: 'verifying',
  commit: 'switching to',
  cleanup: 'removing old versions of',
};

/** The installer with this command's progress line, and with the plan of the new version as its last check. `work` gets what was there before. */
export async function withInstaller<Result>(context: CommandContext, work: (installer: Installer, before: Outlook) => Promise<Result>): Promise<Result> {
  const { output, paths, env, options } = context;
  const before = await readOutlook(context);
  let progress: Progress | undefined;
  const installer = createInstaller({
    paths,
    env,
    hostVersion: readHostVersion(),
    bundledIds: [...before.catalog.entries.values()].filter(({ origin }) => origin === 'bundled').map(({ id }) => id),
    log: createLogging({ file: false, consoleLevel: options.verbose ? 'debug' : 'warn', stdout: process.stderr }).child('install'),
    progress({ step, spec, detail }) {
      const text = `${STEPS[step]} ${detail ?? spec}`;
      if (progress === undefined) progress = output.progress(text);
      else progress.update(text);
    },
    async preflight({ id, record }) {
      assertNoWorse(before, await readOutlook(context, { loaded: before.loaded, records: { ...before.records, [id]: record } }));
    },
  });
  try {
    return await work(installer, before);
  } finally {
    progress?.stop();
  }
}
