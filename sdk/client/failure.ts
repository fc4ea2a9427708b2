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
  const hint = recoveryHint(refusalDetails(error));
  return durarError('DUR_GATEWAY_REFUSED', { reason: errorText(error) }, { details, cause: error, ...(hint === undefined ? {} : { hint }) });
}

/** What helps against this refusal; undefined: the general advice. */
function recoveryHint({ code, requestId }: RefusalDetails = {}): string | undefined {
  switch (code) {
    case 'PAIRING_REQUIRED':
      return `Approve this device on the gateway's machine: \`durar devices approve ${requestId ?? '--latest'}\`.`;
    case 'AUTH_RATE_LIMITED':
      return 'Wait five minutes, then try again with the right secret.';
    case 'AUTH_BOOTSTRAP_TOKEN_INVALID':
      return "Make a fresh setup code on the gateway's machine: `durar pairing bootstrap`.";
    case 'AUTH_DEVICE_TOKEN_MISMATCH':
      return 'Connect once with the shared token or password; the device gets a new token then.';
    default:
      return undefined;
  }
}

interface RefusalDetails {
  code?: string;
  canRetryWithDeviceToken?: boolean;
  requestId?: string;
}

function refusalDetails(error: unknown): RefusalDetails | undefined {
  return (error as { details?: { details?: RefusalDetails } }).details?.details;
}
