import { describe, expect, it } from 'vitest';
import { findExposures } from './exposure.ts';

describe('exposures', () => {
  it('are none by default, and one for each setting that opens the gateway (PROTO-333, PROTO-377)', () => {
    expect(findExposures({ auth: { mode: 'token' }, controlUi: { allowedOrigins: ['https://ui.example'] } })).toEqual([]);
    const controlUi = { dangerouslyDisableDeviceAuth: true, dangerouslyAllowHostHeaderOriginFallback: true, allowInsecureAuth: true, allowedOrigins: ['*'] };
    const found = findExposures({ auth: { mode: 'none' }, controlUi });
    expect(found.map(({ path }) => path)).toEqual([
      'gateway.auth.mode',
      'gateway.controlUi.dangerouslyDisableDeviceAuth',
      'gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback',
      'gateway.controlUi.allowInsecureAuth',
      'gateway.controlUi.allowedOrigins',
    ]);
    for (const { message, hint, path } of found) expect([message.startsWith(path), hint.length > 0]).toEqual([true, true]);
  });
});
