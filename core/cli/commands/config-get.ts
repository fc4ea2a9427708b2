import { durarError } from '../../../sdk/errors.ts';
import { suggest } from '../../../sdk/suggest.ts';
import { getAt, isRecord, parsePath, type Segment } from '../../config/config-path.ts';
import { type LoadedConfig, loadConfig } from '../../config/load.ts';
import { redactConfig, type SecretTest } from '../../config/redact.ts';
import { maskUrlPasswords } from '../../config/url-credentials.ts';
import type { Action, CommandContext } from '../command.ts';

/** `durar config get [path]`: the effective value, defaults included, secrets masked. */
export const configGet: Action = async (context) => {
  const { output, args } = context;
  const loaded = await loadConfig(context);
  const { config, errors } = loaded;
  const path = args[0] === undefined ? [] : parsePath(args[0]);
  const value = getAt(maskUrlPasswords(redactConfig(config, await pluginSecrets(context, loaded, path))), path);
  if (value === undefined) {
    const last = String(path.at(-1));
    const parent = getAt(config, path.slice(0, -1));
    const similar = isRecord(parent) ? suggest(last, Object.keys(parent)) : undefined;
    const hint = similar === undefined ? {} : { hint: `Did you mean \`${args[0]?.slice(0, -last.length)}${similar}\`?` };
    throw durarError('DUR_CONFIG_PATH', { path: args[0], reason: 'it has no value' }, hint);
  }
  if (errors.length > 0) output.note(`${output.paint.warn('!')} The configuration has errors, and only its valid parts count; run \`durar config validate\`.`);
  output.result(value, () => output.line(typeof value === 'string' ? value : JSON.stringify(value, null, 2)));
};

/** Secret fields of extensions stand in their manifests, which are read only when their block is asked for. */
async function pluginSecrets(context: CommandContext, loaded: LoadedConfig, path: readonly Segment[]): Promise<SecretTest> {
  if (path.length > 0 && path[0] !== 'plugins' && path[0] !== 'channels' && path[0] !== 'secrets') return () => false;
  const [{ readOutlook }, { createSecretFields }] = await Promise.all([import('../planning.ts'), import('../../secrets/activate.ts')]);
  return createSecretFields((await readOutlook(context, { loaded })).catalog.entries).isMarked;
}

/** `durar config file` */
export const configFile: Action = async ({ output, paths }) => {
  output.result({ file: paths.configFile }, () => output.line(paths.configFile));
};

/** `durar config schema`: always JSON. */
export const configSchema: Action = async ({ output }) => {
  const { default: schema } = await import('../../config/generated/schema.json', { with: { type: 'json' } });
  output.result(schema, () => output.line(JSON.stringify(schema, null, 2)));
};
