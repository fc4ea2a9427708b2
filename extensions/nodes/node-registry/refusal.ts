import { ProtocolError } from 'Durar/plugin-sdk/core';

/** The request itself is at fault. */
export function invalid(message: string, details?: object): ProtocolError {
  return new ProtocolError('INVALID_REQUEST', message, details === undefined ? {} : { details });
}

/** The node, or the way to it, is at fault. */
export function unavailable(message: string, details: object, retryable?: boolean): ProtocolError {
  return new ProtocolError('UNAVAILABLE', message, { details, ...(retryable === undefined ? {} : { retryable }) });
}
