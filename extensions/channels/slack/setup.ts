import type { ChannelSetupAdapter } from 'Durar/plugin-sdk/core';
import { APP_TOKEN_ENV, BOT_TOKEN_ENV } from './account.ts';

/** What `durar channels add` asks for. */
export const setup: ChannelSetupAdapter = {
  fields: [
    { key: 'botToken', label: 'Bot token', required: true, secret: true, env: BOT_TOKEN_ENV, help: 'xoxb-..., under OAuth & Permissions of your app.' },
    { key: 'appToken', label: 'App-level token', secret: true, env: APP_TOKEN_ENV, help: 'xapp-... with connections:write, for Socket Mode.' },
    { key: 'signingSecret', label: 'Signing secret', secret: true, help: 'Instead of the app-level token: Slack posts events to this machine.' },
    { key: 'allowFrom', label: 'Your member id', help: 'People who need no pairing code, separated by commas: U0123456789.' },
  ],
  validateInput({ botToken = '', appToken = '', signingSecret = '' }) {
    if (botToken !== '' && !/^xox[be]/.test(botToken)) return 'that is no bot token; it begins with xoxb-';
    if (appToken !== '' && !appToken.startsWith('xapp-')) return 'that is no app-level token; it begins with xapp-';
    if (appToken === '' && signingSecret === '' && process.env[APP_TOKEN_ENV] === undefined) return 'an app-level token or a signing secret is needed';
    return undefined;
  },
  accountConfig({ botToken = '', appToken = '', signingSecret = '', allowFrom = '' }) {
    const people = allowFrom.split(',').flatMap((entry) => entry.trim() || []);
    return {
      ...(appToken === '' && signingSecret !== '' ? { mode: 'http' } : {}),
      ...(botToken === '' ? {} : { botToken }),
      ...(appToken === '' ? {} : { appToken }),
      ...(signingSecret === '' ? {} : { signingSecret }),
      ...(people.length === 0 ? {} : { allowFrom: people }),
    };
  },
};
