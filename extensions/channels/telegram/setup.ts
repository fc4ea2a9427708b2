import type { ChannelSetupAdapter } from 'Durar/plugin-sdk/core';
import { TOKEN_ENV } from './account.ts';

const TOKEN = /^\d{3,}:[\w-]{20,}$/;

/** What `durar channels add` asks for. */
export const setup: ChannelSetupAdapter = {
  fields: [
    {
      key: 'botToken',
      label: 'Bot token',
      secret: true,
      env: TOKEN_ENV,
      help: 'Write /newbot to @BotFather in Telegram; it answers with the token.',
    },
    { key: 'tokenFile', label: 'File with the token', help: 'Instead of the token: absolute path of a file that holds it.' },
    { key: 'allowFrom', label: 'Your user id', help: 'People who need no pairing code, separated by commas.' },
  ],
  validateInput({ botToken = '', tokenFile = '' }) {
    if (botToken === '' && tokenFile === '' && process.env[TOKEN_ENV] === undefined) return 'a bot token, or a file that holds it, is needed';
    if (botToken !== '' && tokenFile !== '') return 'give the token or a file that holds it, not both';
    if (botToken !== '' && !TOKEN.test(botToken)) return 'that is no bot token; it looks like 123456789:AA...';
    if (tokenFile !== '' && !tokenFile.startsWith('/') && !/^[a-z]:[\\/]/i.test(tokenFile)) return 'the path of the token file must be absolute';
    return undefined;
  },
  accountConfig({ botToken = '', tokenFile = '', allowFrom = '' }) {
    const people = allowFrom.split(',').flatMap((entry) => entry.trim() || []);
    return {
      ...(botToken === '' ? {} : { botToken }),
      ...(tokenFile === '' ? {} : { tokenFile }),
      ...(people.length === 0 ? {} : { allowFrom: people }),
    };
  },
};
