import { describe, expect, it } from 'vitest';
import type { Contribution } from '../../core/kernel/generation.ts';
import type { HttpRoute } from '../../sdk/index.ts';
import { startGateway, TOKEN } from './harness.ts';

function route(given: Omit<HttpRoute, 'handler'> & Partial<Pick<HttpRoute, 'handler'>>): Contribution {
  const value: HttpRoute = {
    handler(request, response) {
      response.end(`${given.path}:${request.url}`);
      return true;
    },
    ...given,
  };
  return { kind: 'httpRoute', key: given.path, owner: 'fixture', value };
}

describe('HTTP', () => {
  it('answers liveness and readiness without auth, 404 in JSON otherwise', async () => {
    const { port } = await startGateway();
    const base = `http://127.0.0.1:${port}`;
    for (const path of ['/health', '/healthz', '/ready']) expect(await (await fetch(base + path)).json()).toMatchObject({ ok: true });
    const missing = await fetch(`${base}/nope?x=1`);
    expect([missing.status, await missing.json()]).toEqual([404, { error: { code: 'NOT_FOUND', message: 'no such path: /nope' } }]);
  });

  it('guards routes by the shared secret, and lets plugin routes guard themselves', async () => {
    const { port } = await startGateway({
      contributions: [
        route({ path: '/guarded', auth: 'gateway' }),
        route({ path: '/open', auth: 'plugin', match: 'prefix' }),
        route({ path: '/open/exact', auth: 'plugin' }),
        route({ path: '/fails', auth: 'plugin', handler: () => Promise.reject(new Error('secret detail')) }),
        route({ path: '/declines', auth: 'plugin', handler: () => false }),
      ],
    });
    const get = async (path: string, authorization?: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, authorization === undefined ? {} : { headers: { authorization } });
      return [answer.status, await answer.text()] as const;
    };
    expect((await get('/guarded'))[0]).toBe(401);
    expect((await get('/guarded', 'Bearer wrong'))[0]).toBe(401);
    expect(await get('/guarded', `Bearer ${TOKEN}`)).toEqual([200, '/guarded:/guarded']);
    expect((await get('/guarded/below', `Bearer ${TOKEN}`))[0]).toBe(404);
    expect(await get('/open/a/b?c=1')).toEqual([200, '/open:/open/a/b?c=1']);
    expect(await get('/open/exact')).toEqual([200, '/open/exact:/open/exact']);
    expect((await get('/opened'))[0]).toBe(404);
    const [status, text] = await get('/fails');
    expect(status).toBe(500);
    expect(text).not.toContain('secret detail');
    expect((await get('/declines'))[0]).toBe(404);
  });
});
