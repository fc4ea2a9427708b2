import { networkInterfaces } from 'node:os';
import { durarError } from '../../../sdk/errors.ts';
import type { Config } from '../../config/schema.ts';

const LOOPBACK = '127.0.0.1';

/** Throws `DUR_CONFIG_INVALID` when this machine has no such address. */
export function bindAddress(bind: Config['gateway']['bind'], custom: string | undefined, interfaces = networkInterfaces()): string {
  switch (bind) {
    case 'lan':
      return '0.0.0.0';
    case 'custom':
      return custom ?? LOOPBACK;
    case 'tailnet': {
      const address = Object.values(interfaces)
        .flat()
        .find((one) => one !== undefined && isTailnet(one.address))?.address;
      if (address !== undefined) return address;
      throw durarError(
        'DUR_CONFIG_INVALID',
        { path: 'gateway.bind', reason: 'is tailnet, but this machine has no address of a tailnet' },
        { hint: 'Start Tailscale, or use loopback, lan or custom.' },
      );
    }
    case 'auto':
    case 'loopback':
      return LOOPBACK;
  }
}

/** Tailscale hands out 100.64.0.0/10. */
function isTailnet(address: string): boolean {
  const [first, second, ...rest] = address.split('.').map(Number);
  return rest.length === 2 && first === 100 && second !== undefined && second >= 64 && second < 128;
}
