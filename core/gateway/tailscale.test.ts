import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createTailscale } from './tailscale.ts';

const served = (ip: string, login = 'ann@example.com', remoteAddress = '127.0.0.1') =>
  ({
    headers: { 'x-forwarded-for': ip, 'x-forwarded-proto': 'https', 'x-forwarded-host': 'host.example.ts.net', 'tailscale-user-login': login },
    socket: { remoteAddress },
  }) as unknown as IncomingMessage;

/** Puts a `tailscale` of ours before that of the machine. */
function install(script: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'durar-tailscale-'));
  const { PATH } = process.env;
  writeFileSync(join(folder, 'tailscale'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  vi.stubEnv('PATH', `${folder}${delimiter}${PATH}`);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });
}

describe('the identity that Tailscale Serve names', () => {
  it('is confirmed by the command of the machine, with the address as one argument (PROTO-330)', async () => {
    install(`[ "$1 $2 $#" = "whois --json 3" ] && printf '{"UserProfile":{"LoginName":"ann@example.com","ID":1}}'`);
    const read = createTailscale();
    expect(await read(served('100.64.0.9'))).toEqual({ user: 'ann@example.com' });
    expect(await read(served('100.64.0.9', 'eve@example.com'))).toEqual({ reason: 'tailscale_user_mismatch' });
  });

  it.each([
    ['fails', 'exit 1'],
    ['answers something else', 'echo no JSON'],
    ['knows a machine without a user', 'echo {}'],
  ])('does not count when the command %s', async (_name, script) => {
    install(script);
    expect(await createTailscale()(served('100.64.0.9'))).toEqual({ reason: 'tailscale_whois_failed' });
  });

  it('is asked for once a minute, and only of an address', async () => {
    let now = 0;
    const asked: string[] = [];
    const read = createTailscale(
      async (ip) => {
        asked.push(ip);
        return 'ann@example.com';
      },
      () => now,
    );
    await read(served('100.64.0.9'));
    now = 59_999;
    await read(served('100.64.0.9'));
    expect(asked).toHaveLength(1);
    now = 60_000;
    await read(served('203.0.113.1, 100.64.0.9'));
    expect(asked).toEqual(['100.64.0.9', '100.64.0.9']);
    expect(await read(served('--help'))).toEqual({ reason: 'tailscale_whois_failed' });
    expect(asked).toHaveLength(2);
  });

  it('is not believed from another machine (PROTO-331)', async () => {
    const read = createTailscale(async () => 'ann@example.com');
    expect(await read(served('100.64.0.9', 'ann@example.com', '192.0.2.4'))).toEqual({ reason: 'tailscale_proxy_missing' });
    expect(await read({ headers: {}, socket: { remoteAddress: '127.0.0.1' } } as unknown as IncomingMessage)).toBeUndefined();
  });
});
