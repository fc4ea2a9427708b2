import { ADMIN_SCOPE } from '../../../sdk/protocol/scopes.ts';
import type { Call, MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';
import { createDeviceDesk, type DeskCaller, type DeviceDesk } from '../device-desk.ts';

const DEVICE_REMOVED = 4001;

export function devicesMethods(context: GatewayContext): MethodFamily<keyof DeviceDesk> {
  const desk = createDeviceDesk({
    devices: context.devices,
    bootstrap: context.bootstrap,
    resolved: (event) => context.hub.broadcast('device.pair.resolved', event),
    evict(deviceId, role) {
      const affected = [...context.connections].filter(({ client }) => client?.deviceId === deviceId && (role === undefined || client.role === role));
      // The answer goes out first: the caller may be one of them.
      setImmediate(() => {
        for (const connection of affected) connection.close(DEVICE_REMOVED, 'device removed');
      });
    },
  });
  return {
    'device.pair.list': (params, call) => desk['device.pair.list'](params, callerOf(call)),
    'device.pair.approve': (params, call) => desk['device.pair.approve'](params, callerOf(call)),
    'device.pair.reject': (params, call) => desk['device.pair.reject'](params, callerOf(call)),
    'device.pair.remove': (params, call) => desk['device.pair.remove'](params, callerOf(call)),
    'device.token.rotate': (params, call) => desk['device.token.rotate'](params, callerOf(call)),
    'device.token.revoke': (params, call) => desk['device.token.revoke'](params, callerOf(call)),
    'device.bootstrap.issue': (params, call) => desk['device.bootstrap.issue'](params, callerOf(call)),
  };
}

/** A session that a device's own token opened manages that device only, unless it is an administrator's. */
function callerOf({ client }: Call): DeskCaller {
  const isConfined = (client.method === 'device-token' || client.method === 'bootstrap-token') && !client.can(ADMIN_SCOPE);
  return { can: (scope) => client.can(scope), ...(isConfined && client.deviceId !== undefined ? { onlyDevice: client.deviceId } : {}) };
}
