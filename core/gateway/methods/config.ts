import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

export function configMethods(context: GatewayContext): MethodFamily<'config.get'> {
  return {
    async 'config.get'() {
      const { exists, hash, issues } = await context.control.configFile();
      // What runs, which never holds a secret; the text of the file might.
      const { config } = context.source.current();
      return {
        path: context.paths.configFile,
        exists,
        raw: null,
        parsed: config,
        resolved: config,
        config,
        valid: issues.length === 0,
        hash,
        issues,
        warnings: [],
        legacyIssues: [],
      };
    },
  };
}
