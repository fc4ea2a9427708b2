import type { Action } from '../command.ts';
import { countOf } from '../count.ts';
import { openRpc } from '../rpc.ts';

/** `durar secrets reload`. What fails is thrown, and the gateway goes on with the secrets that it has. */
export const secretsReload: Action = async (context) => {
  const { output } = context;
  const rpc = await openRpc(context);
  try {
    const answer = (await rpc.call('secrets.reload', {})) as { ok: true; warningCount: number };
    output.result(answer, () => {
      const { paint } = output;
      const { warningCount } = answer;
      output.line(`${paint.success('✓')} The secrets are resolved anew; the next turn uses them.`);
      if (warningCount > 0) output.line(paint.muted(`${countOf(warningCount, 'remark')}; \`durar logs\` has them.`));
    });
  } finally {
    rpc.close();
  }
};
