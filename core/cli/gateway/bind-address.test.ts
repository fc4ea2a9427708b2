import type { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { bindAddress } from './bind-address.ts';

const interfaces = (...addresses: string[]) => ({ any: addresses.map((address) => ({ address })) }) as unknown as ReturnType<typeof networkInterfaces>;

describe('the address to listen on', () => {
  it('follows the bind mode (GW-028, GW-057 to GW-059)', () => {
    expect(bindAddress('loopback', undefined)).toBe('127.0.0.1');
    expect(bindAddress('auto', undefined)).toBe('127.0.0.1');
    expect(bindAddress('lan', undefined)).toBe('0.0.0.0');
    expect(bindAddress('custom', '192.0.2.7')).toBe('192.0.2.7');
    expect(bindAddress('custom', undefined)).toBe('127.0.0.1');
  });

  it('is that of the tailnet where this machine is in one', () => {
    expect(bindAddress('tailnet', undefined, interfaces('127.0.0.1', '100.63.0.1', '::1', '100.101.2.3'))).toBe('100.101.2.3');
    expect(() => bindAddress('tailnet', undefined, interfaces('127.0.0.1', '100.128.0.1', '10.0.0.1'))).toThrow(
      expect.objectContaining({ code: 'DUR_CONFIG_INVALID' }),
    );
  });
});
