import type { SecretTest } from '../config/redact.ts';
import type { Catalog } from '../manifest/catalog.ts';
import { secretPaths } from '../manifest/validator.ts';

/**
 * Knows the secret fields that extensions mark in their manifests: below `plugins.entries.<id>.config`, `channels.<id>` and
 * `secrets.providers.<alias>`. A manifest is looked at when its block is first asked about.
 */
export function createSecretTest(entries: Catalog['entries']): SecretTest {
  const known = new Map<string, string[][]>();
  const fieldsOf = (block: string, find: () => string[][]): string[][] => {
    let fields = known.get(block);
    if (fields === undefined) {
      fields = find();
      known.set(block, fields);
    }
    return fields;
  };

  const ofPlugin = (id: string) => () => {
    const entry = entries.get(id);
    return entry === undefined ? [] : secretPaths(entry.manifest);
  };
  const ofChannel = (id: string) => () =>
    [...entries.values()].flatMap(({ manifest: { channelConfigs = {} } }) => {
      const config = Object.hasOwn(channelConfigs, id) ? channelConfigs[id] : undefined;
      return config === undefined ? [] : secretPaths({ id, configSchema: config.schema, ...(config.uiHints === undefined ? {} : { uiHints: config.uiHints }) });
    });

  const ofSources = () =>
    [...entries.values()].flatMap(({ manifest: { secretSourceConfigs = {} } }) =>
      Object.entries(secretSourceConfigs).flatMap(([id, { schema, uiHints = {} }]) => secretPaths({ id, configSchema: schema, uiHints })),
    );

  return (path) => {
    const [first, second, third, fourth] = path.slice(0, 4).map(String);
    if (first === 'channels' && second !== undefined && third !== undefined) {
      return fieldsOf(`channels.${second}`, ofChannel(second)).some((field) => fits(field, path.slice(2)));
    }
    // of any source: which one an alias has is not known here, and a mask too many does no harm
    if (first === 'secrets' && second === 'providers') return fieldsOf('secrets', ofSources).some((field) => fits(field, path.slice(3)));
    if (first !== 'plugins' || second !== 'entries' || third === undefined || fourth !== 'config') return false;
    return fieldsOf(`plugins.${third}`, ofPlugin(third)).some((field) => fits(field, path.slice(4)));
  };
}

function fits(field: readonly string[], path: ReadonlyArray<string | number>): boolean {
  return field.length === path.length && field.every((name, at) => name === '*' || name === String(path[at]));
}
