import { errorText, type ProviderErrorKind } from 'Durar/plugin-sdk/core';
import type { ProviderFailure } from 'Durar/plugin-sdk/provider-stream';

/** What the SDK's errors have in common; matched by shape, as servers and versions differ in classes. */
interface ApiFailure {
  name?: string;
  status?: number;
  code?: string | null;
  type?: string | null;
  headers?: Headers;
  cause?: unknown;
}

const OVERFLOW =
  /context[ _-]?(?:length|window|size)|maximum context|prompt is too long|too many (?:input )?tokens|exceeds? the (?:available|maximum|model'?s) .*(?:context|tokens)/i;

/** Says why a call failed, in the host's terms. The key never stands in the text. */
export function failureOf(error: unknown, apiKey?: string): ProviderFailure {
  const failure = (typeof error === 'object' && error !== null ? error : {}) as ApiFailure;
  const cause = failure.cause === undefined ? '' : ` (${causeText(failure.cause)})`;
  const text = `${errorText(error)}${failure.status === undefined ? cause : ''}`;
  const retryAfterMs = retryAfter(failure.headers);
  return {
    kind: kindOf(failure, text),
    text: apiKey === undefined || apiKey === '' ? text : text.replaceAll(apiKey, '***'),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function kindOf({ name, status, code, type }: ApiFailure, text: string): ProviderErrorKind {
  if (code === 'context_length_exceeded' || ((status === undefined || [400, 413, 422, 500].includes(status)) && OVERFLOW.test(text))) return 'context_overflow';
  if (code === 'insufficient_quota' || type === 'insufficient_quota' || code === 'billing_hard_limit_reached' || status === 402) return 'billing';
  if (code === 'account_deactivated' || code === 'organization_deactivated') return 'auth_permanent';
  if (status === 401 || status === 403 || code === 'invalid_api_key') return 'auth';
  if (status === 404 || code === 'model_not_found') return 'model_not_found';
  if (status === 429 || code === 'rate_limit_exceeded') return 'rate_limit';
  if (status === 408 || name === 'APIConnectionTimeoutError' || /ConnectionError|ConnectionTimeout/.test(name ?? '')) return 'timeout';
  if ((status !== undefined && status >= 500) || code === 'server_error' || type === 'server_error' || /overloaded/i.test(`${code} ${type}`))
    return 'overloaded';
  if (status !== undefined && status >= 400) return 'format';
  return isConnectionFailure(text) ? 'timeout' : 'unknown';
}

/** Connection failures carry the system's code somewhere in their chain of causes, which is part of the text. */
function isConnectionFailure(text: string): boolean {
  return /Connection error|timed out|ECONN(?:RESET|REFUSED|ABORTED)|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|UND_ERR|other side closed|terminated/i.test(text);
}

function causeText(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause !== undefined ? `: ${causeText(cause.cause)}` : '';
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? ` ${String(cause.code)}` : '';
  return `${errorText(cause)}${code}${inner}`;
}

function retryAfter(headers: Headers | undefined): number | undefined {
  const exact = Number.parseFloat(headers?.get('retry-after-ms') ?? '');
  if (exact >= 0) return Math.ceil(exact);
  const value = headers?.get('retry-after');
  if (value === null || value === undefined) return undefined;
  const ms = /^[\d.]+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, Math.ceil(ms)) : undefined;
}
