import { ancestorSubpath } from '../ancestor.ts';
import * as sdk from '../index.ts';
import { OFFERED } from './members.ts';
import { unavailableRuntimeMembers } from './runtime.ts';

const NAMED = /(?:(?:import\s*(?:\w+\s*,\s*)?|export\s*)\{([^}]*)\}\s*from\s*|(?:const|let|var)\s*\{([^}]*)\}\s*=\s*require\(\s*)["']([^"']+)["']/g;
const MODULES = /(?:\b(?:import|export)\s*(?!type\b)(?:[\w*{][^"';]*?\bfrom\s*)?|\bimport\s*\(\s*|\brequire\s*\(\s*)["']([^"']+)["']/g;
const RUNTIME_PATH = /\bruntime\??((?:\??\.\w+){2,4})/g;
const API_MEMBER = /\bapi\??\.(onConversationBindingResolved|registerHttpHandler)\b/g;

/** The names that a source imports from a module, types left out where the source says so. */
export function importedNames(source: string, specifier: string): string[] {
  return namedImports(source).flatMap((named) => (named.specifier === specifier ? [named.name] : []));
}

/** The packages that a source imports at run time. Built-in modules and relative paths are none. */
export function importedPackages(source: string): string[] {
  const specifiers = Array.from(source.matchAll(MODULES), ([, specifier = '']) => specifier);
  const names = specifiers.flatMap((specifier) => /^(?:@[^/]+\/)?[^./@:][^/:]*(?=\/|$)/.exec(specifier)?.[0] ?? []);
  return [...new Set(names)];
}

/**
 * What a source file uses of the ancestor's SDK and `api` and Durar does not offer: what throws `DUR_EXT_NOT_AVAILABLE` when it is used, as
 * `<specifier> <member>` or `api.runtime.<path>`. Reads the text only.
 */
export function unavailableIn(source: string): string[] {
  const imports = namedImports(source).filter(
    ({ specifier, name }) => ancestorSubpath(specifier) !== undefined && !(name in sdk) && !Object.hasOwn(OFFERED, name),
  );
  const absent = new Set(unavailableRuntimeMembers());
  const paths = Array.from(source.matchAll(RUNTIME_PATH), ([, path = '']) => path.replaceAll('?', '').slice(1));
  const members = paths.flatMap((path) => {
    const names = path.split('.');
    const found = names.map((_, place) => names.slice(0, place + 1).join('.')).find((part) => absent.has(part));
    return found === undefined ? [] : [`api.runtime.${found}`];
  });
  const own = Array.from(source.matchAll(API_MEMBER), ([, name]) => `api.${name}`);
  return [...new Set([...imports.map(({ specifier, name }) => `${specifier} ${name}`), ...members, ...own])];
}

function namedImports(source: string): Array<{ specifier: string; name: string }> {
  return Array.from(source.matchAll(NAMED)).flatMap(([, imported, required, specifier = '']) =>
    (imported ?? required ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !name.startsWith('type '))
      .map((name) => ({ specifier, name: name.split(/\s+as\s+|\s*:\s*/)[0] ?? name })),
  );
}
