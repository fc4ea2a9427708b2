import type { Channel } from 'Durar/plugin-sdk/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RunningAccount, runAccount, until } from '../../../test/fixtures/channel-account.ts';
import { settings } from '../../../test/fixtures/slack-account.ts';
import { ANN, ANN_CHAT, createSlackServer, SIGNING_SECRET, type SlackServer } from '../../../test/fixtures/slack-server.ts';
import { createSlack } from './channel.ts';
import { isSigned } from './webhook.ts';

const MINUTE = 60_000;

let server: SlackServer;
let channel: Channel;
const accounts: RunningAccount[] = [];

beforeEach(async () => {
  server = await createSlackServer();
  channel = createSlack();
});
afterEach(async () => {
  for (const each of accounts.splice(0)) await each.stop().catch(() => undefined);
  await server.close();
});

const http = (more: Record<string, unknown> = {}) =>
  settings(server.url, { mode: 'http', appToken: undefined, signingSecret: SIGNING_SECRET, webhookPort: 0, ...more });
const body = (id: string, text = 'hello') => ({
  type: 'event_callback',
  event_id: id,
  event: { type: 'message', channel: ANN_CHAT, channel_type: 'im', user: ANN, ts: `170000000${id}.000100`, text },
});

async function run(cfg = http(), options: Parameters<typeof runAccount>[2] = {}): Promise<{ account: RunningAccount; url: string }> {
  const account = runAccount(channel, cfg, options);
  accounts.push(account);
  await until(() => account.status.connected === true, 'the webhook');
  return { account, url: `http://127.0.0.1:${account.status.webhookPort}/slack/events` };
}

it('takes what Slack signs and nothing else', async () => {
  const { account, url } = await run();
  expect((await server.post(url, body('1'))).status).toBe(200);
  expect((await server.post(url, body('2'), { secret: 'another' })).status).toBe(401);
  expect((await server.post(url, body('3'), { at: Date.now() - 6 * MINUTE })).status).toBe(401);
  expect((await server.post(url, body('4'), { at: Date.now() + 6 * MINUTE })).status).toBe(401);
  expect((await server.post(url, body('5'), { headers: { 'x-slack-signature': 'v0=' } })).status).toBe(401);
  expect((await server.post(url, body('6'), { headers: { 'x-slack-signature': 'v1=00' } })).status).toBe(401);
  expect((await server.post(url, body('7'), { headers: { 'x-slack-request-timestamp': 'now' } })).status).toBe(401);
  expect((await fetch(url, { method: 'POST', body: JSON.stringify(body('8')) })).status).toBe(401);
  expect((await fetch(url)).status).toBe(405);
  expect((await server.post(`${url}/more`, body('9'))).status).toBe(404);
  expect((await server.post(url, 'x'.repeat(5_000_000))).status).toBe(413);
  expect(account.delivered.map(({ messageId }) => messageId)).toEqual(['1700000001.000100']);
});

it('signs as the documentation of Slack shows it', () => {
  const headers = {
    'x-slack-request-timestamp': '1531420618',
    'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  };
  const form =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c';
  const now = 1531420618_000;
  expect(isSigned({ headers }, Buffer.from(form), '8f742231b10e8888abcd99yyyzzz85a5', now)).toBe(true);
  expect(isSigned({ headers }, Buffer.from(`${form} `), '8f742231b10e8888abcd99yyyzzz85a5', now)).toBe(false);
  expect(isSigned({ headers }, Buffer.from(form), '', now)).toBe(false);
});

it('answers the question for the address, and leaves forms alone', async () => {
  const { account, url } = await run();
  expect(await server.post(url, { type: 'url_verification', challenge: 'a-word', token: 'x' })).toEqual({ status: 200, text: 'a-word' });
  expect((await server.post(url, 'payload=%7B%7D')).status).toBe(200);
  expect((await server.post(url, 'null')).status).toBe(200);
  expect(account.delivered).toEqual([]);
});

it('tells a repetition once, and waits for the work that is under way', async () => {
  const gate = Promise.withResolvers<void>();
  const { account, url } = await run(http(), { deliver: () => gate.promise.then(() => ({ accepted: true })) });
  const again = { headers: { 'x-slack-retry-num': '1', 'x-slack-retry-reason': 'http_timeout' } };
  const posts = [server.post(url, body('1')), server.post(url, body('1'), again)];
  setTimeout(gate.resolve, 100);
  expect((await Promise.all(posts)).map(({ status }) => status)).toEqual([200, 200]);
  expect((await server.post(url, body('1'), again)).status).toBe(200);
  expect(account.delivered).toHaveLength(1);
});

it('does not confirm what could not be kept', async () => {
  let isFull = true;
  const { account, url } = await run(http(), { deliver: async () => (isFull ? Promise.reject(new Error('disk full')) : { accepted: true }) });
  expect((await server.post(url, body('1'))).status).toBe(500);
  isFull = false;
  expect((await server.post(url, body('1'))).status).toBe(200);
  expect(account.delivered).toHaveLength(1);
  expect(account.log.join()).toContain('disk full');
});

it('shares a port between accounts that have a path each', async () => {
  const { port } = new URL((await run()).url);
  await accounts[0]?.stop();
  const shared = (path: string, token: string) => ({ botToken: token, signingSecret: `${token}-secret`, webhookPath: path });
  const cfg = http({
    webhookPort: Number(port),
    accounts: { one: shared('/one', 'xoxb-1-the-token-of-the-test-bot'), two: shared('/two', 'xoxp-2'), three: shared('/two', 'xoxp-3') },
  });
  const one = await run(cfg, { accountId: 'one' });
  const two = await run(cfg, { accountId: 'two' });
  await expect(runAccount(channel, cfg, { accountId: 'three' }).done).rejects.toMatchObject({ code: 'SLACK_WEBHOOK_PATH' });
  const at = (path: string) => `http://127.0.0.1:${port}${path}`;
  expect((await server.post(at('/two'), body('1'), { secret: 'xoxp-2-secret' })).status).toBe(200);
  expect((await server.post(at('/one'), body('2'), { secret: 'xoxp-2-secret' })).status).toBe(401);
  expect([one.account.delivered.length, two.account.delivered.length]).toEqual([0, 1]);
  const other = createSlack();
  await expect(runAccount(other, cfg, { accountId: 'one' }).done).rejects.toMatchObject({ code: 'SLACK_WEBHOOK_LISTEN', retryable: true });
});

it('has no listener without a signing secret', async () => {
  await expect(runAccount(channel, http({ signingSecret: undefined })).done).rejects.toMatchObject({ code: 'SLACK_TOKEN_MISSING' });
});
