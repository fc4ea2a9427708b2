import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { MethodTypes } from '../../sdk/protocol/generated/types.ts';
import type { ProtocolRole } from '../../sdk/protocol/scopes.ts';
import { BOOTSTRAP_SCOPES, type Bootstrap } from './bootstrap.ts';
import { tokenScopes } from './device-record.ts';
import type { Devices, PairedDevice } from './devices.ts';

/** Who decides about devices. */
export interface DeskCaller {
  /** The device to which it is confined, where it is. */
  onlyDevice?: string;
  can(scope: string): boolean;
}

type DeskMethod = Extract<keyof MethodTypes, `device.${string}`>;
export type DeviceDesk = { [Name in DeskMethod]: (params: MethodTypes[Name]['params'], caller: DeskCaller) => MethodTypes[Name]['result'] };

export interface DeskParams {
  devices: Devices;
  bootstrap: Bootstrap;
  /** A request was decided. */
  resolved(event: { requestId: string; deviceId: string; decision: 'approved' | 'rejected'; ts: number }): void;
  /** The device, or one role of it, has lost its access. */
  evict(deviceId: string, role?: ProtocolRole): void;
}

/** Decides about devices and their tokens, for sockets and for the command line of a gateway that does not run. Throws `ProtocolError`. */
export function createDeviceDesk({ devices, bootstrap, resolved, evict }: DeskParams): DeviceDesk {
  const mayManage = (deviceId: string, { onlyDevice }: DeskCaller) => onlyDevice === undefined || onlyDevice === deviceId;
  const findRequest = (requestId: string) => {
    const request = devices.findRequest(requestId);
    if (request === undefined) throw refuse('unknown requestId');
    return request;
  };

  return {
    'device.pair.list': () => ({ pending: devices.pending(), paired: devices.list().map(publicDevice) }),

    'device.pair.approve'({ requestId }, caller) {
      const request = findRequest(requestId);
      assertHolds(caller, request.scopes);
      const device = devices.approve(request, { roles: request.roles, scopes: [] });
      resolved({ requestId, deviceId: device.deviceId, decision: 'approved', ts: Date.now() });
      return { requestId, device: publicDevice(device) };
    },

    'device.pair.reject'({ requestId }) {
      const { deviceId } = findRequest(requestId);
      devices.reject(requestId);
      resolved({ requestId, deviceId, decision: 'rejected', ts: Date.now() });
      return { requestId, deviceId };
    },

    'device.pair.remove'({ deviceId }, caller) {
      if (!mayManage(deviceId, caller)) throw refuse('device pairing removal denied');
      if (!devices.remove(deviceId)) throw refuse('unknown deviceId');
      evict(deviceId);
      return { deviceId };
    },

    'device.token.rotate'({ deviceId, role, scopes }, caller) {
      const denied = refuse('device token rotation denied');
      if (!mayManage(deviceId, caller) || !isRole(role)) throw denied;
      const wanted = tokenScopes(role, scopes ?? devices.get(deviceId)?.tokens[role]?.scopes ?? []);
      // What the role may not carry at all is refused, not left out.
      if (scopes?.some((scope) => !wanted.includes(scope)) || !wanted.every((scope) => !isOperatorScope(scope) || caller.can(scope))) throw denied;
      const token = devices.rotateToken({ deviceId, role, scopes: wanted });
      if (token === undefined) throw denied;
      evict(deviceId, role);
      return { deviceId, role, token: token.token, scopes: token.scopes, rotatedAtMs: token.rotatedAtMs ?? token.createdAtMs };
    },

    'device.token.revoke'({ deviceId, role }, caller) {
      if (!mayManage(deviceId, caller)) throw refuse('device token revocation denied');
      const revokedAtMs = isRole(role) ? devices.revokeToken(deviceId, role) : undefined;
      if (revokedAtMs === undefined || !isRole(role)) throw refuse('unknown deviceId/role');
      evict(deviceId, role);
      return { deviceId, role, revokedAtMs };
    },

    'device.bootstrap.issue'(_params, caller) {
      assertHolds(caller, BOOTSTRAP_SCOPES);
      return bootstrap.issue();
    },
  };
}

/** Nobody hands out more than he holds. */
function assertHolds(caller: DeskCaller, scopes: readonly string[]): void {
  const missing = scopes.find((scope) => isOperatorScope(scope) && !caller.can(scope));
  if (missing !== undefined) throw refuse(`missing scope: ${missing}`);
}

/** Without the values of its tokens. */
function publicDevice({ tokens, ...device }: PairedDevice) {
  return { ...device, tokens: Object.values(tokens).map(({ token: _value, ...entry }) => entry) };
}

function isRole(role: string): role is ProtocolRole {
  return role === 'operator' || role === 'node';
}

function isOperatorScope(scope: string): boolean {
  return scope.startsWith('operator.');
}

function refuse(message: string): ProtocolError {
  return new ProtocolError('INVALID_REQUEST', message);
}
