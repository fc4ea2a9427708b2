import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional, text } from '../define.ts';

const roles = () => Type.Array(Type.String());
const description = {
  deviceId: Type.String(),
  publicKey: Type.String(),
  displayName: optional(Type.String()),
  platform: optional(Type.String()),
  deviceFamily: optional(Type.String()),
  clientId: optional(Type.String()),
  clientMode: optional(Type.String()),
  remoteIp: optional(Type.String()),
};

/** A device that waits for approval, for 300 s after it last asked. */
export const DevicePairingRequest = open(
  {
    requestId: Type.String(),
    ...description,
    role: optional(Type.String()),
    roles: optional(roles()),
    scopes: optional(Type.Array(Type.String())),
    silent: Type.Boolean(),
    /** The device was paired before and asks for more, or anew. */
    isRepair: Type.Boolean(),
    ts: Type.Number(),
  },
  'DevicePairingRequest',
);

/** The values of the tokens are never told. */
const PairedDevice = open(
  {
    ...description,
    role: Type.String(),
    roles: roles(),
    scopes: Type.Array(Type.String()),
    createdAtMs: Type.Number(),
    approvedAtMs: Type.Number(),
    tokens: Type.Array(
      open({
        role: Type.String(),
        scopes: Type.Array(Type.String()),
        createdAtMs: Type.Number(),
        rotatedAtMs: optional(Type.Number()),
        revokedAtMs: optional(Type.Number()),
        lastUsedAtMs: optional(Type.Number()),
      }),
    ),
  },
  'PairedDevice',
);

export const DEVICES_METHODS = defineMethods({
  'device.pair.list': {
    scope: 'operator.pairing',
    params: closed({}),
    result: open({ pending: Type.Array(DevicePairingRequest), paired: Type.Array(PairedDevice) }),
  },
  'device.pair.approve': {
    scope: 'operator.pairing',
    params: closed({ requestId: text() }),
    result: open({ requestId: Type.String(), device: PairedDevice }),
  },
  'device.pair.reject': {
    scope: 'operator.pairing',
    params: closed({ requestId: text() }),
    result: open({ requestId: Type.String(), deviceId: Type.String() }),
  },
  'device.pair.remove': {
    scope: 'operator.pairing',
    params: closed({ deviceId: text() }),
    result: open({ deviceId: Type.String() }),
  },
  'device.token.rotate': {
    scope: 'operator.pairing',
    params: closed({ deviceId: text(), role: text(), scopes: optional(Type.Array(text())) }),
    /** The one place where a token's value is told to somebody else than its device. */
    result: open({ deviceId: Type.String(), role: Type.String(), token: Type.String(), scopes: Type.Array(Type.String()), rotatedAtMs: Type.Number() }),
  },
  'device.token.revoke': {
    scope: 'operator.pairing',
    params: closed({ deviceId: text(), role: text() }),
    result: open({ deviceId: Type.String(), role: Type.String(), revokedAtMs: Type.Number() }),
  },
  'device.bootstrap.issue': {
    scope: 'operator.pairing',
    params: closed({}),
    /** One device may pair itself with it as a node, once. */
    result: open({ bootstrapToken: Type.String(), expiresAtMs: Type.Number() }),
  },
});
