/** The wire protocol this host speaks. A client connects when `minProtocol <= PROTOCOL_VERSION <= maxProtocol`. */
export const PROTOCOL_VERSION = 3;

/** Limits of the transport that both sides know. Sizes are bytes, times are milliseconds. */
export const LIMITS = {
  maxPreauthPayload: 65_536,
  maxPayload: 26_214_400,
  maxBufferedBytes: 52_428_800,
  handshakeMs: 10_000,
  tickIntervalMs: 15_000,
  signatureSkewMs: 120_000,
} as const;
