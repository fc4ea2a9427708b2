/** Runs in the page: connects, asks, comes back with the device token alone, and posts what it found to the server that served it. */
import { browserSocketFactory, createBrowserTokenStore, loadBrowserIdentity } from '../../sdk/client/browser.ts';
import { createGatewayClient } from '../../sdk/client/client.ts';

interface Page {
  location: { search: string };
  localStorage: { getItem(key: string): string | null; setItem(key: string, value: string): void; removeItem(key: string): void };
  navigator: { userAgent: string };
}

const { location, localStorage, navigator } = globalThis as unknown as Page;
const query = new URLSearchParams(location.search);

async function run(): Promise<object> {
  const url = query.get('gateway') ?? '';
  const identity = await loadBrowserIdentity(localStorage);
  const again = await loadBrowserIdentity(localStorage);
  const tokens = createBrowserTokenStore({ storage: localStorage, url });
  const options = {
    url,
    identity,
    tokens,
    socketFactory: browserSocketFactory(),
    client: { id: 'webchat-ui', version: '1', platform: 'web', mode: 'webchat' },
    userAgent: navigator.userAgent,
  };
  const first = createGatewayClient({ ...options, auth: { token: query.get('token') ?? '' }, scopes: ['operator.read', 'operator.write'] });
  const hello = await first.connect();
  const health = await first.request('health', {});
  const state = await first.refresh();
  const tick = new Promise((resolve) => first.on('tick', resolve));
  const refused = await first.request('config.get', {}).catch((error: Error) => error.message);
  await tick;
  first.close();

  const second = createGatewayClient(options);
  const back = await second.connect();
  const status = await second.request('status', {});
  second.close();
  return {
    protocol: hello.protocol,
    isSameDevice: identity.deviceId === again.deviceId,
    health: health.ok,
    refreshed: state.health.ok,
    refused,
    scopes: back.auth?.scopes,
    version: status.runtimeVersion,
  };
}

const found = await run().catch((error: Error) => ({ error: `${error.message}\n${error.stack}` }));
await fetch('/result', { method: 'POST', body: JSON.stringify(found) });
