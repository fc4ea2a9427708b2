import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ANCESTOR, ancestorSubpath } from '../../sdk/ancestor.ts';
import { type DurarError, durarError } from '../../sdk/index.ts';

/** What extensions import of the host, as modules of this process. */
export interface SdkSpecifiers {
  /** The URL behind a specifier; undefined: it names no module of the host. Throws `DUR_EXT_MODULE_MISSING` for one that the host does not have. */
  resolve(specifier: string, importer: string): string | undefined;
  /** The source of a URL that stands for no file. */
  load(url: string): string | undefined;
}

const OWN = /^(?:Durar|durar|durar-ai)\/plugin-sdk(?:\/(.+))?$/;
/** Public names that differ from their file's. */
const FILES: Readonly<Record<string, string>> = { core: 'sdk/index', 'plugin-entry': 'sdk/entry', testing: 'core/testing/index' };
const SYNTHETIC = 'durar-ancestor:';

/** Works from the sources of a checkout and from `dist/` of a package: the SDK is found from where this file lies. */
export function createSdkSpecifiers(): SdkSpecifiers {
  const { root, extension } = findHost(import.meta.dirname);
  const fileOf = (name: string) => join(root, `${FILES[name] ?? `sdk/${name}`}${extension}`);
  const urlOf = (name: string) => pathToFileURL(fileOf(name)).href;
  const namesOf = (subpath: string): string[] | undefined => {
    const { ANCESTOR_EXPORTS } = createRequire(import.meta.url)(fileOf('ancestor/exports')) as { ANCESTOR_EXPORTS: string };
    const line = ANCESTOR_EXPORTS.split('\n').find((each) => each.startsWith(`${subpath} `));
    return line?.split(' ').slice(1);
  };
  const namedBy = (importer: string, specifier: string): string[] => {
    if (!importer.startsWith('file:')) return [];
    const { importedNames } = createRequire(import.meta.url)(fileOf('ancestor/imports')) as typeof import('../../sdk/ancestor/imports.ts');
    return importedNames(readFileSync(fileURLToPath(importer.split('?')[0] ?? ''), 'utf8'), specifier);
  };
  return {
    resolve(specifier, importer) {
      const own = OWN.exec(specifier);
      if (own !== null) {
        const name = own[1] ?? 'core';
        if (!/^[a-z][a-z0-9-]*(\/[a-z0-9-]+)*$/.test(name) || !existsSync(fileOf(name)))
          throw missingModule(specifier, importer, 'Import Durar/plugin-sdk/core, which has everything an author needs.');
        return urlOf(name);
      }
      const subpath = ancestorSubpath(specifier);
      if (subpath === undefined) return undefined;
      const names = namesOf(subpath || 'index');
      if (names === undefined) throw missingModule(specifier, importer, 'That SDK has no such subpath in its 2026.4 line.');
      // Later versions of the line have more names, and sources name types without saying that they are types: neither may fail the link.
      const others = namedBy(importer, specifier).filter((name) => !names.includes(name));
      return `${SYNTHETIC}${subpath}${others.length === 0 ? '' : `?${others.join('&')}`}`;
    },
    load(url) {
      if (!url.startsWith(SYNTHETIC)) return undefined;
      const [subpath = '', others = ''] = url.slice(SYNTHETIC.length).split('?');
      const module = subpath === '' ? ANCESTOR.specifier : `${ANCESTOR.specifier}/${subpath}`;
      const names = [...(namesOf(subpath || 'index') ?? []), ...others.split('&').filter((name) => name !== '')];
      return [
        `import * as sdk from ${JSON.stringify(urlOf('core'))};`,
        `import { OFFERED, unavailable } from ${JSON.stringify(urlOf('ancestor/members'))};`,
        `const pick = (name) => sdk[name] ?? OFFERED[name] ?? unavailable(${JSON.stringify(`${module} `)} + name);`,
        ...names.map((name, place) => `const m${place} = pick(${JSON.stringify(name)}); export { m${place} as ${name} };`),
      ].join('\n');
    },
  };
}

/** Thrown by a hook, which knows the importing file but not whose it is. */
export function missingModule(specifier: string, importer: string, hint: string): DurarError {
  const file = importer.startsWith('file:') ? fileURLToPath(importer.split('?')[0] ?? '') : importer;
  return durarError('DUR_EXT_MODULE_MISSING', { id: file, specifier }, { owner: { file }, hint, details: { specifier } });
}

/** The same with its extension's id. */
export function ownMissingModule(error: DurarError, id: string): DurarError {
  const specifier = (error.details as { specifier: string }).specifier;
  return durarError('DUR_EXT_MODULE_MISSING', { id, specifier }, { owner: { ...error.owner, extension: id }, hint: error.hint, details: error.details });
}

function findHost(from: string): { root: string; extension: '.js' | '.ts' } {
  for (let root = from; ; root = dirname(root)) {
    for (const extension of ['.js', '.ts'] as const) if (existsSync(join(root, 'sdk', `index${extension}`))) return { root, extension };
    if (root === dirname(root)) throw new Error(`no sdk above ${from}`);
  }
}
