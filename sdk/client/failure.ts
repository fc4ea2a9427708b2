import { durarError, errorCode, errorText } from '../errors.ts';
import type { ResponseFrame } from '../protocol/generated/types.ts';

/** Refusals that trying again cannot heal. */
const FINAL_REFUSALS = new Set([
  'AUTH_TOKEN_MISSING',
  'AUTH_TOKEN_MISMATCH',
  'AUTH_BOOTSTRAP_TOKEN_INVALID',
  'AUTH_PASSWORD_MISSING',
  'AUTH_PASSWORD_MISMATCH',
  'AUTH_RATE_LIMITED',
  'PAIRING_REQUIRED',
  'CONTROL_UI_DEVICE_IDENTITY_REQUIRED',
  'DEVICE_IDENTITY_REQUIRED',
]);

/** What the socket factory will not do, however often it is asked. */
const FINAL_CODES = new Set(['DUR_GATEWAY_PLAINTEXT', 'DUR_GATEWAY_TLS_PIN']);

/** True when the gateway refused the handshake, or this client the gateway, for a reason that stays. */
export function isFinalRefusal(error: unknown): boolean {
  return FINAL_CODES.has(errorCode(error) ?? '') || FINAL_REFUSALS.has(refusalDetails(error)?.code ?? '');
}

/** True when the gateway said that the stored device token may help. */
export function mayRetryWithDeviceToken(error: unknown): boolean {
  return refusalDetails(error)?.canRetryWithDeviceToken === true;
}

/** True when the gateway does not know the device token that was sent. */
export function isTokenRefused(error: unknown): boolean {
  return refusalDetails(error)?.code === 'AUTH_DEVICE_TOKEN_MISMATCH';
}

/** The error of an answer that says `ok: false`. */
export function rpcError(method: string, { error, payload }: ResponseFrame): Error {
  const details = { ...error, ...(payload === undefined ? {} : { payload }) };
  return durarError('DUR_GATEWAY_RPC', { method, reason: error?.message ?? 'the gateway gave no reason' }, { details, ...hintOf(error?.details) });
}

function hintOf(details: unknown): { hint?: string } {
  const hint = typeof details === 'object' && details !== null && 'hint' in details ? details.hint : undefined;
  return typeof hint === 'string' && hint !== '' ? { hint } : {};
}

/** The failure of `connect`, told as a refusal when the gateway answered. */
export function refused(error: unknown): Error {
  const details = (error as { details?: unknown }).details;
  if (details === undefined) return error instanceof Error ? error : new Error(errorText(error));
  return durarError('DUR_GATEWAY_REFUSED', { reason: errorText(error) }, { details, cause: error });
}

function refusalDetails(error: unknown): { code?: string; canRetryWithDeviceToken?: boolean } | undefined {
  return (error as { details?: { details?: { code?: string; canRetryWithDeviceToken?: boolean } } }).details?.details;
}
