import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { ConfigPatchParams, ConfigPatchResult } from '../../../sdk/protocol/generated/types.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { parseText } from '../../config/parse.ts';
import type { MethodFamily } from '../call.ts';
import { type ConfigWrite, issuesOf, patched, rewrite } from '../config-file.ts';
import { createConfigSchemas } from '../config-schema.ts';
import type { GatewayContext } from '../context.ts';
import type { Adoption } from '../options.ts';
import { createWriteLimit } from '../write-limit.ts';

type Names = 'config.get' | 'config.set' | 'config.patch' | 'config.apply' | 'config.schema' | 'config.schema.lookup';

export function configMethods(context: GatewayContext): MethodFamily<Names> {
  const { configFile, paths, control } = context;
  const limit = createWriteLimit();
  const schemas = createConfigSchemas(context);
  const path = paths.configFile;

  type Params = Pick<ConfigPatchParams, 'raw' | 'baseHash' | 'restartDelayMs'>;
  const write = (reason: string, { raw, baseHash, restartDelayMs }: Params, edit: (text: string, present: LoadedConfig) => Promise<string>) =>
    configFile.write({
      reason,
      restartDelayMs,
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
  const replace = (reason: string, params: Params) => write(reason, params, (text, present) => rewrite(text, present, params.raw));

  /** What a client that expects a restart wants to know. */
  const outcome = (kind: 'config-patch' | 'config-apply', { next, adoption }: ConfigWrite, params: ConfigPatchParams): ConfigPatchResult => {
    const reason = kind.replace('-', '.');
    return {
      ok: true,
      path,
      config: configFile.redact(next.config),
      restart: restartOf(reason, adoption),
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
      const live = control.config.live(loaded);
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
        live: { config: configFile.redact(live.config), changes: live.changes.map((change) => ({ path: change.path, reload: change.reload })) },
      };
    },

    async 'config.set'(params) {
      const { next } = await replace('config.set', params);
      return { ok: true, path, config: configFile.redact(next.config) };
    },

    async 'config.patch'(params, { client }) {
      limit.take(client, 'config.patch');
      const done = await write('config.patch', params, (text, present) => patched(text, present, params.raw));
      if (!done.changed) return { ok: true, noop: true, path, config: configFile.redact(done.next.config) };
      return outcome('config-patch', done, params);
    },

    async 'config.apply'(params, { client }) {
      limit.take(client, 'config.apply');
      return outcome('config-apply', await replace('config.apply', params), params);
    },

    'config.schema': () => schemas.describe(),

    'config.schema.lookup'({ path: wanted }) {
      const found = schemas.find(wanted);
      if (found === undefined) throw new ProtocolError('INVALID_REQUEST', 'config schema path not found');
      return found;
    },
  };
}

/** `null`: the change counts already, and nobody has to come again. */
function restartOf(reason: string, adoption: Adoption | undefined): Exclude<ConfigPatchResult['restart'], undefined> {
  const { restart, later = [] } = adoption ?? {};
  if (restart === undefined) return later.length === 0 ? null : { ok: false, reason, paths: [...later] };
  const { delayMs, coalesced, cooldownMs } = restart;
  return { ok: true, pid: process.pid, delayMs, reason, mode: 'in-process', coalesced, cooldownMsApplied: cooldownMs };
}
