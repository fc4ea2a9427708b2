import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatVerifyReport, verifyPlugin } from '../../install/verify-plugin.ts';
import type { Action, CommandContext } from '../command.ts';
import { readOutlook } from '../planning.ts';
import { printable } from '../printable.ts';
import { readHostVersion } from '../version.ts';

/** `durar plugins verify <folder|archive|id>` */
export const pluginsVerify: Action = async (context) => {
  const { output, args, env, paths } = context;
  const { target, pluginConfig } = await findTarget(context, args[0] ?? '');
  const progress = output.progress(`verifying ${args[0]}`);
  const options = { paths, env, hostVersion: readHostVersion(), ...(pluginConfig === undefined ? {} : { pluginConfig }) };
  const report = await verifyPlugin(target, options).finally(() => progress.stop());
  output.result(report, () => {
    const { paint } = output;
    const marks = { 'ok  ': paint.success, FAIL: paint.error, skip: paint.muted } as const;
    output.line(printable(formatVerifyReport(report)).replace(/^ {2}(ok {2}|FAIL|skip) /gm, (_line, mark: keyof typeof marks) => `  ${marks[mark](mark)} `));
  });
  return report.ok ? 0 : 1;
};

/** An id of any origin stands for its folder, with what the operator configured for it. */
async function findTarget(context: CommandContext, text: string): Promise<{ target: string; pluginConfig?: Record<string, unknown> }> {
  if (existsSync(resolve(text))) return { target: text };
  const planned = (await readOutlook(context)).plan.extensions.get(text);
  return planned === undefined ? { target: text } : { target: planned.entry.root, pluginConfig: planned.config };
}
