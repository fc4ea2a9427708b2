import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ancestorSubpath } from '../../sdk/ancestor.ts';
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
  // Loaded by the first plugin that imports that SDK, and at once, as hooks must answer.
  const ancestor = () => createRequire(import.meta.url)(fileOf('ancestor/modules')) as typeof import('../../sdk/ancestor/modules.ts');
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
      const key = ancestor().moduleKey(subpath, importer);
      if (key === undefined) throw missingModule(specifier, importer, 'That SDK has no such subpath in its 2026.4 line.');
      return `${SYNTHETIC}${key}`;
    },
    load: (url) => (url.startsWith(SYNTHETIC) ? ancestor().moduleSource(url.slice(SYNTHETIC.length), urlOf) : undefined),
  };
}

/** Thrown by a hook, which knows the importing file but not whose it is; thrown again with the id by who knows it. */
export function missingModule(specifier: string, importer: string, hint: string, id?: string): DurarError {
  const file = importer.startsWith('file:') ? fileURLToPath(importer.split('?')[0] ?? '') : importer;
  const owner = id === undefined ? { file } : { file, extension: id };
  return durarError('DUR_EXT_MODULE_MISSING', { id: id ?? file, specifier }, { owner, hint, details: { specifier, file } });
}

function findHost(from: string): { root: string; extension: '.js' | '.ts' } {
  for (let root = from; ; root = dirname(root)) {
    for (const extension of ['.js', '.ts'] as const) if (existsSync(join(root, 'sdk', `index${extension}`))) return { root, extension };
    if (root === dirname(root)) throw new Error(`no sdk above ${from}`);
  }
}
