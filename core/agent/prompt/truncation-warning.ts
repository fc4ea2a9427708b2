import type { BootstrapFile } from './bootstrap-files.ts';

export interface TruncationWarning {
  mode: 'off' | 'once' | 'always';
  /** What stands in this prompt. */
  text?: string;
  /** Sets of cut files that the session has been warned of, this prompt included, newest last. */
  shownFor: string[];
}

/** A session that goes through more sets than this is warned again. */
const REMEMBERED_SETS = 8;

/** Says in the prompt which workspace files are cut; `once`: once for each session and set of cut files. */
export function truncationWarning(mode: TruncationWarning['mode'], files: readonly BootstrapFile[], shownFor: readonly string[]): TruncationWarning {
  const cut = files.filter(({ truncated }) => truncated);
  const set = cut.map(({ name }) => name).join(',');
  if (cut.length === 0 || mode === 'off' || (mode === 'once' && shownFor.includes(set))) return { mode, shownFor: [...shownFor] };
  const list = cut.map(({ name, rawChars }) => `${name} (${rawChars} characters)`).join(', ');
  const text = `[Warning: cut to fit the prompt: ${list}. Read a file with a tool where you need the rest of it.]`;
  return { mode, text, shownFor: [...shownFor.filter((one) => one !== set), set].slice(-REMEMBERED_SETS) };
}
