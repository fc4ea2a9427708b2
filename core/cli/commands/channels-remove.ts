import { durarError } from '../../../sdk/errors.ts';
import { getAt, isRecord, type Segment } from '../../config/config-path.ts';
import { setIn, unsetIn } from '../../config/edit.ts';
import { parseText } from '../../config/parse.ts';
import { channelOf } from '../channel-options.ts';
import type { Action, CommandContext } from '../command.ts';
import { changeConfig } from '../config/config-change.ts';
import { createPrompt } from '../prompt.ts';
import { printApplied } from '../reload.ts';

/** `durar channels remove <channel> [--account] [--delete]`: off, and kept in the configuration unless it is to be deleted. */
export const channelsRemove: Action = async (context) => {
  const { output, options, paths } = context;
  const id = channelOf(context);
  const account = typeof options.account === 'string' ? options.account : undefined;
  const path: Segment[] = ['channels', id, ...(account === undefined ? [] : ['accounts', account])];
  const name = account === undefined ? id : `${id}/${account}`;
  const isDeleted = options.delete === true;
  if (!(await isAgreed(context, `${isDeleted ? 'Delete' : 'Switch off'} ${name}?`))) throw durarError('DUR_CLI_CANCELLED');
  const done = await changeConfig(
    context,
    async (text) => {
      if (!isRecord(getAt(await parseText(text, paths.configFile), path))) {
        if (account === undefined) throw durarError('DUR_CHANNEL_UNKNOWN', { channel: id });
        throw durarError('DUR_CHANNEL_ACCOUNT', { channel: id, accountId: account });
      }
      return isDeleted ? unsetIn(text, path) : setIn(text, [...path, 'enabled'], false);
    },
    { lenient: true },
  );
  const { candidate: _candidate, ...change } = done;
  output.result({ ok: true, channel: id, ...(account === undefined ? {} : { accountId: account }), deleted: isDeleted, ...change }, () => {
    output.line(`${output.paint.success('✓')} ${name} is ${isDeleted ? 'deleted' : 'off; `durar channels add` or `enabled: true` brings it back'}.`);
    if (done.applied !== undefined) printApplied(done.applied, context);
  });
};

async function isAgreed({ output, options }: CommandContext, question: string): Promise<boolean> {
  if (options.yes === true) return true;
  if (process.stdin.isTTY !== true) throw durarError('DUR_CLI_USAGE', { reason: 'nobody is there to agree' }, { hint: 'Add --yes.' });
  const prompt = createPrompt(output);
  try {
    return await prompt.confirm(question, false);
  } finally {
    prompt.close();
  }
}
