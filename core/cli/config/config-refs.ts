import type { Segment } from '../../config/config-path.ts';
import { keyOf } from '../../secrets/activate.ts';
import type { CommandContext } from '../command.ts';
import type { Outlook } from '../planning.ts';
import { resolveHere } from '../secrets/local-sources.ts';
import { secretUses } from './config-effect.ts';
import type { ConfigOperation } from './config-input.ts';

/** Whether the references of an edit resolve. */
export interface RefCheck {
  checked: number;
  /** References whose command was not run. */
  skippedExec: number;
  problems: Array<{ message: string; ref: string }>;
}

/** Resolves the references that stand where the operations wrote; their values are thrown away. */
export async function checkRefs(
  { paths, options }: Pick<CommandContext, 'paths' | 'options'>,
  candidate: Outlook,
  operations: readonly ConfigOperation[],
): Promise<RefCheck> {
  const mine = secretUses(candidate).filter(({ path }) => operations.some((operation) => isWithin(path, operation.path)));
  const all = mine.flatMap(({ path, refs }) => refs.map((ref) => ({ path, ref })));
  const asked = all.filter(({ ref }) => ref.source !== 'exec' || options.allowExec === true);
  const { problems } = await resolveHere(
    { paths },
    candidate,
    asked.map(({ ref }) => ref),
  );
  return {
    checked: asked.length,
    skippedExec: all.length - asked.length,
    problems: asked.flatMap(({ path, ref }) => {
      const problem = problems.get(keyOf(ref));
      return problem === undefined ? [] : [{ message: problem(path).message, ref: `${ref.source}:${ref.provider}:${ref.id}` }];
    }),
  };
}

function isWithin(path: readonly Segment[], parent: readonly Segment[]): boolean {
  return parent.every((segment, index) => String(segment) === String(path[index]));
}
