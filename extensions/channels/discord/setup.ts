import type { ChannelSetupAdapter } from 'Durar/plugin-sdk/core';
import { TOKEN_ENV } from './account.ts';

/** Three parts: the bot's id, a time, a signature. */
const TOKEN = /^(?:Bot )?[\w-]{18,}\.[\w-]{4,}\.[\w-]{20,}$/;

/** What `durar channels add` asks for. */
export const setup: ChannelSetupAdapter = {
  fields: [
    {
      key: 'token',
      label: 'Bot token',
      secret: true,
      env: TOKEN_ENV,
      help: 'https://discord.com/developers/applications: your application, Bot, Reset Token. Switch on "Message Content Intent" there.',
    },
    {
      key: 'allowFrom',
      label: 'Your user id',
      help: 'People who need no pairing code, separated by commas. Developer mode, right click on a person, Copy User ID.',
    },
  ],
  validateInput({ token = '' }) {
    if (token === '' && process.env[TOKEN_ENV] === undefined) return 'a bot token is needed';
    if (token !== '' && !TOKEN.test(token.trim())) return 'that is no bot token; it has three parts with dots between them';
    return undefined;
  },
  accountConfig({ token = '', allowFrom = '' }) {
    const people = allowFrom.split(',').flatMap((entry) => entry.trim() || []);
    return { ...(token === '' ? {} : { token: token.trim() }), ...(people.length === 0 ? {} : { allowFrom: people }) };
  },
};
