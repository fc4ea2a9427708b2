import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import { lookUpTargets } from '../../secrets/activate.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

export function secretsMethods({ source, control }: GatewayContext): MethodFamily<'secrets.reload' | 'secrets.resolve'> {
  return {
    async 'secrets.reload'() {
      await control.reload();
      return { ok: true, warningCount: control.secrets.diagnostics().filter(({ code }) => code !== 'SECRETS_GATEWAY_AUTH_SURFACE').length };
    },

    'secrets.resolve'({ targetIds }) {
      const { config, resolvedConfig } = source.current();
      const found = lookUpTargets({ config, resolved: resolvedConfig, fields: control.secrets.fields(), targets: targetIds });
      if ('unknown' in found) throw new ProtocolError('INVALID_REQUEST', `invalid secrets.resolve params: unknown target id "${found.unknown}"`);
      const { assignments, inactiveRefPaths } = found;
      const diagnostics = inactiveRefPaths.map((path) => `${path}: out of use, so not resolved`);
      return { ok: true, assignments, diagnostics, inactiveRefPaths };
    },
  };
}
