import { describe, expect, it } from 'vitest';
import type { ConnectedClient } from './connection.ts';
import { createWriteLimit } from './write-limit.ts';

const client = (deviceId: string, ip = '127.0.0.1') => ({ deviceId, info: { id: 'x' }, peer: { ip } }) as ConnectedClient;

describe('the limit of writes', () => {
  it('lets three calls a minute through, whatever the method, for each device and address', () => {
    let now = 0;
    const limit = createWriteLimit(() => now);
    const refused = (one: ConnectedClient, method = 'config.patch') => {
      try {
        limit.take(one, method);
        return undefined;
      } catch (error) {
        return error;
      }
    };
    for (const method of ['config.patch', 'config.apply', 'config.patch']) expect(refused(client('a'), method)).toBeUndefined();
    now = 300;
    expect(refused(client('a'))).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'rate limit exceeded for config.patch; retry after 60s',
      retryable: true,
      retryAfterMs: 59_700,
      details: { method: 'config.patch', limit: '3 per 60s' },
    });
    expect(refused(client('b'))).toBeUndefined();
    expect(refused(client('a', '10.0.0.5'))).toBeUndefined();
    now = 60_000;
    expect(refused(client('a'))).toBeUndefined();
  });
});
