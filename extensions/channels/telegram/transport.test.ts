import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { settings, toAnn } from '../../../test/fixtures/telegram-account.ts';
import { createTelegramServer, type TelegramServer } from '../../../test/fixtures/telegram-server.ts';
import { createTelegram } from './channel.ts';
import { createTransport } from './transport.ts';

let server: TelegramServer | undefined;
const others: Server[] = [];
afterEach(async () => {
  await server?.close();
  for (const each of others.splice(0)) {
    each.closeAllConnections();
    each.close();
  }
});

async function listen(handler: Parameters<typeof createServer>[1]): Promise<string> {
  const made = createServer(handler as never);
  others.push(made);
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}`;
}

it('sends every request through the proxy that is set', async () => {
  server = await createTelegramServer();
  const seen: string[] = [];
  const proxy = await listen(async (request, response) => {
    seen.push(request.url ?? '');
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const answer = await fetch(request.url ?? '', {
      method: 'POST',
      headers: { 'content-type': request.headers['content-type'] ?? '' },
      body: Buffer.concat(parts),
    });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  });
  const cfg = settings(server.url, { proxy });
  const { outbound } = createTelegram();
  await outbound?.sendText?.({ ...toAnn(cfg), text: 'hello' });
  await outbound?.sendMedia?.({ ...toAnn(cfg), text: '', mediaUrl: 'data:application/zip;base64,AAAA' });
  expect(server.messages).toHaveLength(2);
  expect(seen.map((url) => url.replace(/^.*\//, ''))).toEqual(['sendMessage', 'sendDocument']);
});

it('names no proxy in an error, as it may have a password', async () => {
  for (const proxy of ['user:secret@host:1', 'socks5://user:secret@host:1', 'http://user:secret@127.0.0.1:1']) {
    const sent = createTelegram().outbound?.sendText?.({ ...toAnn(settings('http://127.0.0.1:2', { proxy })), text: 'hello' });
    await expect(sent).rejects.toMatchObject({ code: expect.stringMatching(/TELEGRAM_(PROXY|CONNECTION)/), message: expect.not.stringContaining('secret') });
  }
});

it('keeps one connection for requests that follow each other', async () => {
  let connections = 0;
  const url = await listen((_request, response) => void response.end('{}'));
  others[0]?.on('connection', () => (connections += 1));
  const transport = createTransport();
  for (let times = 0; times < 5; times += 1) await transport(url, { signal: AbortSignal.timeout(5000), maxBytes: 10 });
  expect(connections).toBe(1);
});

it('reads no more than it was told to, and says that an answer had begun', async () => {
  const url = await listen((_request, response) => void response.end('x'.repeat(100)));
  const transport = createTransport();
  await expect(transport(url, { signal: AbortSignal.timeout(5000), maxBytes: 99 })).rejects.toMatchObject({ code: 'TOO_LARGE', status: 200 });
  await expect(transport(url, { signal: AbortSignal.timeout(5000), maxBytes: 100 })).resolves.toMatchObject({ status: 200 });
});

it('ends with the signal, also when the answer stops in its midst', async () => {
  const url = await listen((_request, response) => void response.write('half'));
  await expect(createTransport()(url, { signal: AbortSignal.timeout(100), maxBytes: 10 })).rejects.toMatchObject({ status: 200 });
});

it('fails with a body whose source fails', async () => {
  const url = await listen((request) => void request.resume());
  async function* body() {
    yield Buffer.from('some');
    throw Object.assign(new Error('the disk'), { code: 'EIO' });
  }
  await expect(createTransport()(url, { method: 'POST', body: body(), signal: AbortSignal.timeout(5000), maxBytes: 10 })).rejects.toMatchObject({
    code: 'EIO',
  });
});
