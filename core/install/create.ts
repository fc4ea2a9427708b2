import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SLOTS } from '../../sdk/contributions.ts';
import { durarError, errorCode } from '../../sdk/errors.ts';
import { productFile } from './product.ts';

/** The kinds of extension that there is a template for, with what a sentence calls them. */
export const TEMPLATES = {
  'context-engine': 'context engine',
  provider: 'model provider',
  channel: 'channel',
  tool: 'tool',
  'secrets-provider': 'secrets provider',
  approver: 'approver',
  'session-store': 'session store',
} as const;

export type TemplateKind = keyof typeof TEMPLATES;

export interface CreateOptions {
  /** Is made when it is absent; must be empty. */
  dir: string;
  kind: TemplateKind;
  /** The folder's name when absent. */
  id?: string;
  hostVersion: string;
}

export interface CreateReport {
  id: string;
  dir: string;
  /** Relative to `dir`, in the order of their names. */
  files: string[];
}

const ID = /^[a-z0-9][a-z0-9-]{0,63}$/;
const SDK_NOTE = `\`npm test\` and the type checker find the SDK in \`node_modules/Durar\`, which \`durar plugins create\` links to your Durar.
\`npm install\` takes that link away; \`npm install -D Durar@npm:durar-ai\` puts the published SDK there for good.`;

/** Writes a complete extension of a kind. Throws `DUR_CLI_USAGE` for an id that cannot be used or a folder that is not empty. */
export async function createPlugin({ dir, kind, id = basename(resolve(dir)), hostVersion }: CreateOptions): Promise<CreateReport> {
  const target = resolve(dir);
  const reserved: readonly string[] = Object.values(SLOTS).map((slot) => slot.fallback);
  if (!ID.test(id))
    throw durarError('DUR_CLI_USAGE', { reason: `'${id}' is not an id: use lower-case letters, digits and hyphens` }, { hint: 'Give one with --id.' });
  if (reserved.includes(id)) throw durarError('DUR_CLI_USAGE', { reason: `'${id}' belongs to an extension of Durar` }, { hint: 'Choose another id.' });
  if (!Object.hasOwn(TEMPLATES, kind))
    throw durarError('DUR_CLI_USAGE', { reason: `there is no template for '${kind}'` }, { hint: `Use one of ${Object.keys(TEMPLATES).join(', ')}.` });
  if ((await names(target)).length > 0)
    throw durarError('DUR_CLI_USAGE', { reason: `'${target}' is not empty` }, { hint: 'Name a folder that does not exist yet.' });

  const marks: Record<string, string> = {
    __ID__: id,
    __NAME__: titleOf(id),
    __NOUN__: TEMPLATES[kind],
    __TOOL__: id.replaceAll('-', '_'),
    __HOST__: hostVersion,
    __SDK__: SDK_NOTE,
  };
  const templates = productFile('sdk/templates');
  const files: string[] = [];
  await mkdir(target, { recursive: true });
  for (const folder of ['shared', kind]) {
    for (const name of await names(join(templates, folder))) {
      const text = await readFile(join(templates, folder, name), 'utf8');
      // npm leaves files of the real name out of a package.
      const own = name === 'gitignore' ? '.gitignore' : name;
      await writeFile(
        join(target, own),
        text.replace(/__[A-Z]+__/g, (mark) => marks[mark] ?? mark),
      );
      files.push(own);
    }
  }
  await linkSdk(target, hostVersion);
  return { id, dir: target, files: files.sort() };
}

/**
 * Makes `Durar/plugin-sdk/*` known to Node and to the type checker in an author's folder: a package in `node_modules` whose modules are
 * those of this installation. Replaces a link that is there.
 */
export async function linkSdk(dir: string, hostVersion: string): Promise<void> {
  const home = join(dir, 'node_modules', 'Durar');
  await rm(home, { recursive: true, force: true });
  await mkdir(join(home, 'plugin-sdk'), { recursive: true });
  const manifest = {
    name: 'Durar',
    version: hostVersion,
    private: true,
    type: 'module',
    exports: { './plugin-sdk/*': { types: './plugin-sdk/*.d.ts', default: './plugin-sdk/*.js' } },
  };
  await writeFile(join(home, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const [name, file] of await sdkModules()) {
    await writeFile(join(home, 'plugin-sdk', `${name}.js`), `export * from ${JSON.stringify(pathToFileURL(file).href)};\n`);
    await writeFile(join(home, 'plugin-sdk', `${name}.d.ts`), `${nodeTypes()}export * from ${JSON.stringify(file)};\n`);
  }
}

/** Public names of the SDK's modules and their files, in sources or in a built package. */
async function sdkModules(): Promise<Map<string, string>> {
  const index = productFile('sdk/index');
  const ending = extname(index);
  const modules = new Map<string, string>();
  for (const name of await names(dirname(index))) {
    const isModule = name.endsWith(ending) && !/\.(?:test|d)\.ts$/.test(name);
    if (isModule) modules.set(basename(name, ending), join(dirname(index), name));
  }
  return modules.set('core', index).set('plugin-entry', productFile('sdk/entry')).set('testing', productFile('core/testing/index'));
}

/** The sources of a checkout speak of Node's own types, which an author's folder need not have. */
function nodeTypes(): string {
  const file = join(dirname(dirname(productFile('sdk/index'))), 'node_modules/@types/node/index.d.ts');
  return existsSync(file) ? `/// <reference path=${JSON.stringify(file)} />\n` : '';
}

function titleOf(id: string): string {
  return id
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ');
}

async function names(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).sort();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    if (errorCode(error) === 'ENOTDIR') throw durarError('DUR_CLI_USAGE', { reason: `'${dir}' is a file` }, { hint: 'Name a folder that does not exist yet.' });
    throw error;
  }
}
