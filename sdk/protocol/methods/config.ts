import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open } from '../define.ts';

const issues = () => Type.Array(open({ path: Type.String(), message: Type.String() }));

export const CONFIG_METHODS = defineMethods({
  'config.get': {
    scope: 'operator.admin',
    params: closed({}),
    /** Secrets are references or the redaction marker everywhere in it; the raw text is never sent. */
    result: open({
      path: Type.String(),
      exists: Type.Boolean(),
      raw: Type.Null(),
      parsed: Type.Unknown(),
      resolved: Type.Unknown(),
      config: Type.Unknown(),
      valid: Type.Boolean(),
      hash: Type.String(),
      issues: issues(),
      warnings: issues(),
      legacyIssues: issues(),
    }),
  },
});
