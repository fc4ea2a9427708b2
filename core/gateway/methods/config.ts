import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { ConfigPatchParams, ConfigPatchResult } from '../../../sdk/protocol/generated/types.ts';
import { diffConfig } from '../../config/changes.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { parseText } from '../../config/parse.ts';
import type { MethodFamily } from '../call.ts';
import { type ConfigWrite, issuesOf, patched, rewrite } from '../config-file.ts';
import { createConfigSchemas } from '../config-schema.ts';
import type { GatewayContext } from '../context.ts';
import { createWriteLimit } from '../write-limit.ts';

type Names = 'config.get' | 'config.set' | 'config.patch' | 'config.apply' | 'config.schema' | 'config.schema.lookup';

export function configMethods(context: GatewayContext): MethodFamily<Names> {
  const { configFile, paths } = context;
  const limit = createWriteLimit();
  const schemas = createConfigSchemas(context);
  const path = paths.configFile;

  const write = (reason: string, raw: string, baseHash: string | undefined, edit: (text: string, present: LoadedConfig) => Promise<string>) =>
    configFile.write({
      reason,
      async edit(text, present) {
        if (present.exists && baseHash === undefined) {
          throw new ProtocolError('INVALID_REQUEST', 'config base hash required; re-run config.get and retry');
        }
        if (present.exists && baseHash !== present.hash) {
          throw new ProtocolError('INVALID_REQUEST', 'config changed since last load; re-run config.get and retry');
        }
        if (raw.trim() === '') throw new ProtocolError('INVALID_REQUEST', `invalid ${reason} params: raw (string) required`);
        return await edit(text, present);
      },
    });
  const replace = (reason: string, raw: string, baseHash: string | undefined) => write(reason, raw, baseHash, (text, present) => rewrite(text, present, raw));

  /** What a client that expects a restart wants to know. */
  const outcome = (kind: 'config-patch' | 'config-apply', { before, next }: ConfigWrite, params: ConfigPatchParams): ConfigPatchResult => {
    const reason = kind.replace('-', '.');
    const restart = diffConfig(before.config, next.config).filter((change) => change.reload === 'restart');
    return {
      ok: true,
      path,
      config: configFile.redact(next.config),
      restart: restart.length === 0 ? null : { ok: false, reason, paths: restart.map((change) => change.path) },
      sentinel: {
        path: null,
        payload: {
          kind,
          status: 'ok',
          ts: Date.now(),
          ...(params.sessionKey === undefined ? {} : { sessionKey: params.sessionKey }),
          ...(params.deliveryContext === undefined ? {} : { deliveryContext: params.deliveryContext }),
          message: params.note ?? null,
          doctorHint: 'Run: durar doctor',
          stats: { mode: reason, root: path },
        },
      },
    };
  };

  return {
    async 'config.get'() {
      const loaded = await configFile.read();
      const isValid = loaded.errors.length === 0;
      const parsed = isValid ? await parseText(loaded.raw, path) : {};
      return {
        path,
        exists: loaded.exists,
        raw: null,
        parsed: configFile.redact(parsed ?? {}),
        resolved: configFile.redact(isValid ? loaded.source : {}),
        config: configFile.redact(isValid ? loaded.config : {}),
        valid: isValid,
        hash: loaded.hash,
        issues: issuesOf(loaded.errors),
        warnings: issuesOf(loaded.warnings),
        legacyIssues: [],
      };
    },

    async 'config.set'({ raw, baseHash }) {
      const { next } = await replace('config.set', raw, baseHash);
      return { ok: true, path, config: configFile.redact(next.config) };
    },

    async 'config.patch'(params, { client }) {
      limit.take(client, 'config.patch');
      const done = await write('config.patch', params.raw, params.baseHash, (text, present) => patched(text, present, params.raw));
      if (!done.changed) return { ok: true, noop: true, path, config: configFile.redact(done.next.config) };
      return outcome('config-patch', done, params);
    },

    async 'config.apply'(params, { client }) {
      limit.take(client, 'config.apply');
      return outcome('config-apply', await replace('config.apply', params.raw, params.baseHash), params);
    },

    'config.schema': () => schemas.describe(),

    'config.schema.lookup'({ path: wanted }) {
      const found = schemas.find(wanted);
      if (found === undefined) throw new ProtocolError('INVALID_REQUEST', 'config schema path not found');
      return found;
    },
  };
}
