import { pathToFileURL } from 'node:url';
import { type ErrorOwner, reportError } from '../../sdk/index.ts';
import type { Finding } from '../manifest/catalog.ts';

/** The finding of a thrown value. What the error says of its owner wins over `owner`. */
export function findingOf(error: unknown, owner: ErrorOwner = {}, level: Finding['level'] = 'error'): Finding {
  const report = reportError(error);
  return {
    level,
    code: report.code,
    message: report.cause === undefined || report.message.includes(report.cause) ? report.message : `${report.message}: ${report.cause}`,
    hint: report.hint,
    owner: { ...owner, ...report.owner },
  };
}

/** An extension whose code stands in a stack trace. */
export interface Suspect {
  id: string;
  root: string;
}

/** The extension that threw: the first frame of the stack that lies in one of the roots. Longer roots are tried first, so nested ones win. */
export function findOwner(error: unknown, suspects: readonly Suspect[]): Suspect | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const known = [...suspects]
    .sort((a, b) => b.root.length - a.root.length)
    .map((suspect) => ({ suspect, marks: [`${pathToFileURL(suspect.root).href}/`, `(${suspect.root}/`, ` ${suspect.root}/`] }));
  for (const line of stack.split('\n')) {
    const owner = known.find(({ marks }) => marks.some((mark) => line.includes(mark)))?.suspect;
    if (owner !== undefined) return owner;
  }
  return undefined;
}
