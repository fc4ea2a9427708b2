import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ANCESTOR } from '../ancestor.ts';
import { ANCESTOR_EXPORTS } from './exports.ts';
import { importedNames } from './imports.ts';

/**
 * What stands for a subpath of that line's SDK in one importing file: the subpath and the names that the file imports beyond the table. Later
 * versions of the line have more names, and sources name types without saying that they are types: neither may fail the link.
 * undefined: that SDK has no such subpath.
 */
export function moduleKey(subpath: string, importer: string): string | undefined {
  const names = namesOf(subpath);
  if (names === undefined) return undefined;
  const source = importer.startsWith('file:') ? readFileSync(fileURLToPath(importer.split('?')[0] ?? ''), 'utf8') : '';
  const others = importedNames(source, specifierOf(subpath)).filter((name) => !names.includes(name));
  return others.length === 0 ? subpath : `${subpath}?${others.join('&')}`;
}

/** The source of the module behind a key: what Durar has of its names, and a stand-in for each other. `urlOf` finds modules of our SDK. */
export function moduleSource(key: string, urlOf: (name: string) => string): string {
  const [subpath = '', others = ''] = key.split('?');
  const names = [...(namesOf(subpath) ?? []), ...others.split('&').filter((name) => name !== '')];
  return [
    `import * as sdk from ${JSON.stringify(urlOf('core'))};`,
    `import { OFFERED, unavailable } from ${JSON.stringify(urlOf('ancestor/members'))};`,
    `const pick = (name) => sdk[name] ?? OFFERED[name] ?? unavailable(${JSON.stringify(`${specifierOf(subpath)} `)} + name);`,
    ...names.map((name, place) => `const m${place} = pick(${JSON.stringify(name)}); export { m${place} as ${name} };`),
  ].join('\n');
}

function namesOf(subpath: string): string[] | undefined {
  const line = ANCESTOR_EXPORTS.split('\n').find((each) => each.startsWith(`${subpath || 'index'} `));
  return line?.split(' ').slice(1);
}

function specifierOf(subpath: string): string {
  return subpath === '' ? ANCESTOR.specifier : `${ANCESTOR.specifier}/${subpath}`;
}
