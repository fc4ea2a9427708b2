import type { Action, CommandSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

type DeviceActions = typeof import('../commands/devices.ts');
const load = (name: keyof DeviceActions) => async (): Promise<Action> => (await import('../commands/devices.ts'))[name];
const DEVICE = { flags: '--device <id>', text: 'the device; the beginning of its id is enough' };
const ROLE = { flags: '--role <role>', text: 'which of its tokens', choices: ['operator', 'node'] };

/** `durar devices`: who may connect. */
export const DEVICES: CommandSpec = {
  name: 'devices',
  summary: 'list, approve and remove the devices that may connect',
  commands: [
    { name: 'list', summary: 'list what waits for approval, and the paired devices', options: RPC, load: load('devicesList') },
    {
      name: 'approve',
      summary: 'approve a waiting device',
      args: '[requestId]',
      options: [...RPC, { flags: '--latest', text: 'the newest request' }],
      examples: [['devices approve --latest', 'let in the device that asked last']],
      load: load('devicesApprove'),
    },
    { name: 'reject', summary: 'refuse a waiting device', args: '<requestId>', options: RPC, load: load('devicesReject') },
    { name: 'remove', summary: 'remove a paired device and end its connections', args: '<deviceId>', options: RPC, load: load('devicesRemove') },
    {
      name: 'rotate',
      summary: 'replace a token of a device, within what was approved for it',
      options: [...RPC, DEVICE, ROLE, { flags: '--scope <scope>', text: 'what the new token may do (as before); may be repeated', repeat: true }],
      load: load('devicesRotate'),
    },
    { name: 'revoke', summary: 'end a token of a device', options: [...RPC, DEVICE, ROLE], load: load('devicesRevoke') },
    {
      name: 'clear',
      summary: 'remove every paired device',
      options: [...RPC, { flags: '-y, --yes', text: 'yes, all of them' }, { flags: '--pending', text: 'refuse what waits for approval as well' }],
      load: load('devicesClear'),
    },
  ],
};
