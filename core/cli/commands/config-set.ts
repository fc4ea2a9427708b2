import { durarError, errorCode } from '../../../sdk/errors.ts';
import { parsePath } from '../../config/config-path.ts';
import { setIn, unsetIn } from '../../config/edit.ts';
import { parseText, parseValue } from '../../config/parse.ts';
import type { Action, CommandContext } from '../command.ts';
import { type ConfigChange, changeConfig } from '../config-change.ts';
import { printApplied } from '../reload.ts';

/** `durar config set <path> <value>` */
export const configSet: Action = async (context) => {
  const { args, options } = context;
  const path = parsePath(args[0] ?? '');
  const text = args[1] ?? '';
  const value = options.strictJson ? await parseStrictly(text) : await parseValue(text);
  const change = await changeConfig(context, (raw) => setIn(raw, path, value), { dryRun: options.dryRun === true });
  report(context, change, change.changed ? `${args[0]} is set` : `${args[0]} has that value already`);
};

/** `durar config unset <path>` */
export const configUnset: Action = async (context) => {
  const { args, options } = context;
  const path = parsePath(args[0] ?? '');
  const change = await changeConfig(context, (raw) => unsetIn(raw, path), { dryRun: options.dryRun === true });
  report(context, change, change.changed ? `${args[0]} is removed; its default counts` : `${args[0]} was not set`);
};

function report(context: CommandContext, change: ConfigChange, sentence: string): void {
  const { output, options } = context;
  const dryRun = options.dryRun === true;
  output.result({ ok: true, dryRun, ...change }, () => {
    output.line(`${output.paint.success('✓')} ${dryRun && change.changed ? 'It would be accepted; nothing was written' : sentence}.`);
    if (change.applied !== undefined) printApplied(change.applied, context);
  });
}

async function parseStrictly(text: string): Promise<unknown> {
  try {
    if (text.trim() !== '') return await parseText(text, 'value');
  } catch (cause) {
    if (errorCode(cause) !== 'DUR_CONFIG_SYNTAX') throw cause;
    throw durarError('DUR_CLI_USAGE', { reason: `the value is not JSON5: ${text}` }, { cause, hint: 'Quote texts, or leave --strict-json out.' });
  }
  throw durarError('DUR_CLI_USAGE', { reason: 'the value is empty' }, { hint: 'Write "" for an empty text.' });
}
