import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../../sdk/errors.ts';

/** The version of this host, from the package.json of the checkout or of the package around `dist/`. */
export function readHostVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      return (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }).version;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
  throw new Error('the package.json of Durar is missing');
}

/** Holds the bundled extensions as `<group>/<id>/`, beside `core/` in sources and in the build. */
export function bundledDir(): string {
  return fileURLToPath(new URL('../../extensions', import.meta.url));
}
