import { ancestorSubpath } from '../ancestor.ts';
import * as sdk from '../index.ts';
import { OFFERED } from './members.ts';

const NAMED = /(?:import\s*(?:\w+\s*,\s*)?\{([^}]*)\}\s*from\s*|(?:const|let|var)\s*\{([^}]*)\}\s*=\s*require\(\s*)["']([^"']+)["']/g;

/**
 * The members of the ancestor's SDK that a source file imports by name and Durar does not offer, as `<specifier> <member>`: what throws
 * `DUR_EXT_NOT_AVAILABLE` when it is used. Reads the text only. Names that may be types are left out when the import says so (`type`).
 */
export function unavailableImports(source: string): string[] {
  const found = [...source.matchAll(NAMED)].flatMap(([, imported, required, specifier = '']) => {
    if (ancestorSubpath(specifier) === undefined) return [];
    const names = (imported ?? required ?? '').split(',').map((name) => name.trim());
    return names.filter((name) => name !== '' && !name.startsWith('type ')).map((name) => ({ specifier, name: name.split(/\s+as\s+|\s*:\s*/)[0] ?? name }));
  });
  const missing = found.filter(({ name }) => !(name in sdk) && !Object.hasOwn(OFFERED, name));
  return [...new Set(missing.map(({ specifier, name }) => `${specifier} ${name}`))];
}
