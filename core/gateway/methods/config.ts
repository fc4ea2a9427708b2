import type { DurarError } from '../../../sdk/errors.ts';
import type { GatewayContext } from '../context.ts';
import type { MethodFamily } from '../methods.ts';

export function configMethods(context: GatewayContext): MethodFamily<'config.get'> {
  return {
    async 'config.get'() {
      const { loadConfig } = await import('../../config/load.ts');
      const { exists, hash, errors, warnings } = await loadConfig({ paths: context.paths, env: process.env });
      // What runs, which never holds a secret; the text of the file might.
      const { config } = context.source.current();
      return {
        path: context.paths.configFile,
        exists,
        raw: null,
        parsed: config,
        resolved: config,
        config,
        valid: errors.length === 0,
        hash,
        issues: errors.map(issue),
        warnings: warnings.map(issue),
        legacyIssues: [],
      };
    },
  };
}

function issue(error: DurarError): { path: string; message: string } {
  return { path: error.owner.pointer ?? '', message: error.message };
}
