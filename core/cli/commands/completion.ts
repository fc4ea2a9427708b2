import type { Action } from '../command.ts';
import { completionScript, type Shell } from '../completion.ts';
import { GLOBAL_OPTIONS } from '../program.ts';

/** `durar completion` */
export const completion: Action = async ({ options, output, commands }) => {
  const shell = (options.shell as Shell | undefined) ?? 'zsh';
  const script = completionScript(shell, commands, GLOBAL_OPTIONS);
  output.result({ shell, script }, () => output.write(script));
};
