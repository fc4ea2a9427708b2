import { durarError, type ErrorCode, type ErrorOwner } from '../../sdk/index.ts';
import type { Finding } from './catalog.ts';

/** A row of the error table as a finding. `hint` replaces the table's where the place knows better. */
export function finding(level: Finding['level'], code: ErrorCode, values: Record<string, unknown>, owner: ErrorOwner, hint?: string): Finding {
  const error = durarError(code, values, hint === undefined ? {} : { hint });
  return { level, code, message: error.message, hint: error.hint, owner };
}
