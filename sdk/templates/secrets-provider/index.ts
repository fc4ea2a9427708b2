import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { definePluginEntry, errorCode, type SecretsProvider } from 'Durar/plugin-sdk/core';

/** File names only: an id must not lead out of the folder. */
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export default definePluginEntry({
  id: '__ID__',
  register(api) {
    api.registerSecretsProvider(createProvider());
  },
});

function createProvider(): SecretsProvider {
  return {
    source: '__ID__',
    // `config` is the block under `secrets.providers.<alias>`; messages name the id, never the value.
    async resolve({ config, ids, signal }) {
      const folder = typeof config.path === 'string' ? config.path : '/run/secrets';
      const values: Record<string, unknown> = {};
      const errors: Record<string, string> = {};
      for (const id of ids) {
        signal?.throwIfAborted();
        if (!ID.test(id)) errors[id] = 'it is not a file name';
        else {
          try {
            values[id] = (await readFile(join(folder, id), 'utf8')).replace(/\r?\n$/, '');
          } catch (error) {
            errors[id] = errorCode(error) === 'ENOENT' ? `there is no file of that name in '${folder}'` : `the file cannot be read (${errorCode(error)})`;
          }
        }
      }
      return { values, errors };
    },
  };
}
