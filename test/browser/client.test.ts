import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { rolldown } from 'rolldown';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startGateway, TOKEN } from '../conformance/harness.ts';

const browser = findBrowser();

/** An installed Chromium, if there is one. */
function findBrowser(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const files = folders.flatMap((folder) => ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(folder, name)));
  return files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function bundle(): Promise<string> {
  const build = await rolldown({ input: join(import.meta.dirname, 'page.ts'), platform: 'browser' });
  const { output } = await build.generate({ format: 'esm' });
  await build.close();
  return output[0].code;
}

/** Serves the page; resolves with what it posts. */
async function servePage(code: string) {
  const posted = Promise.withResolvers<unknown>();
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') {
      posted.resolve(JSON.parse(await text(request)));
      response.end();
    } else if (request.url === '/page.js') {
      response.setHeader('content-type', 'text/javascript').end(code);
    } else {
      response.setHeader('content-type', 'text/html').end('<!doctype html><script type="module" src="/page.js"></script>');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, posted: posted.promise };
}

function open(command: string, url: string): Promise<never> {
  const profile = mkdtempSync(join(tmpdir(), 'durar-browser-'));
  const child = spawn(
    command,
    ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', `--user-data-dir=${profile}`, '--remote-debugging-port=0', url],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let said = '';
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  const gone = new Promise<never>((_resolve, reject) => child.on('exit', (code) => reject(new Error(`the browser ended with ${code}: ${said}`))));
  gone.catch(() => {});
  onTestFinished(async () => {
    const ended = child.exitCode === null && child.signalCode === null ? new Promise((resolve) => child.on('exit', resolve)) : undefined;
    child.kill('SIGKILL');
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });
  return gone;
}

describe('client in a browser', () => {
  it.skipIf(browser === undefined)(
    `connects with a WebCrypto key, asks, hears, and comes back with its device token${browser === undefined ? ' (skipped: no Chromium on the PATH)' : ''}`,
    async () => {
      const { url } = await startGateway({ settings: { tickIntervalMs: 200 } });
      const page = await servePage(await bundle());
      const gone = open(browser ?? '', `${page.origin}/?${new URLSearchParams({ gateway: url, token: TOKEN })}`);
      expect(await Promise.race([page.posted, gone])).toEqual({
        protocol: 3,
        isSameDevice: true,
        health: true,
        refreshed: true,
        refused: 'missing scope: operator.admin',
        scopes: ['operator.read', 'operator.write'],
        version: '0.1.0',
      });
    },
    60_000,
  );

  it('needs nothing of Node', async () => {
    const code = await bundle();
    expect(code).not.toMatch(/from ["']node:|require\(/);
  });
});
