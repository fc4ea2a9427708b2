import type { ChannelSetupAdapter } from 'Durar/plugin-sdk/core';

/** What `durar channels add` asks for. */
export const setup: ChannelSetupAdapter = {
  fields: [
    { key: 'host', label: 'Server', required: true, env: 'IRC_HOST', help: 'For example irc.libera.chat.' },
    { key: 'port', label: 'Port', env: 'IRC_PORT', help: 'Default 6697, without TLS 6667.' },
    { key: 'tls', label: 'TLS (yes or no)', env: 'IRC_TLS', help: 'Default yes.' },
    { key: 'nick', label: 'Nick', required: true, env: 'IRC_NICK' },
    { key: 'channels', label: 'Channels', env: 'IRC_CHANNELS', help: 'With commas between them: #durar,#lab.' },
    { key: 'password', label: 'Server password', secret: true, env: 'IRC_PASSWORD', help: 'Most networks have none.' },
    { key: 'saslUsername', label: 'Services account', env: 'IRC_SASL_USERNAME', help: 'Default: the nick.' },
    { key: 'saslPassword', label: 'Password of the services account', secret: true, env: 'IRC_SASL_PASSWORD' },
  ],
  validateInput({ host = '', port = '', nick = '', channels = '', tls = '' }) {
    if (!/^[^\s/]+$/.test(host)) return 'The server is a name or an address.';
    if (port !== '' && !isPort(port)) return 'The port is a number from 1 to 65535.';
    if (!/^[^\s:#&@!,*?$]{1,64}$/.test(nick)) return 'The nick is one word.';
    if (tls !== '' && !/^(yes|no|true|false|on|off|1|0)$/i.test(tls)) return 'TLS is yes or no.';
    const wrong = names(channels).find((name) => name.length < 2);
    return wrong === undefined ? undefined : `'${wrong}' is no name of a channel.`;
  },
  accountConfig({ host, port, nick, channels, password, saslUsername, saslPassword, tls }) {
    const rooms = names(channels ?? '');
    const isOpen = /^(no|false|off|0)$/i.test(tls ?? '');
    return {
      ...(host ? { host } : {}),
      ...(isPort(port ?? '') ? { port: Number(port) } : {}),
      ...(isOpen ? { tls: false } : {}),
      ...(nick ? { nick } : {}),
      ...(password ? { password } : {}),
      ...(saslPassword ? { sasl: { ...(saslUsername ? { username: saslUsername } : {}), password: saslPassword } } : {}),
      ...(rooms.length > 0 ? { channels: rooms } : {}),
    };
  },
};

function isPort(port: string): boolean {
  return /^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) < 65_536;
}

function names(channels: string): string[] {
  return channels.split(/[\s,]+/).filter((name) => name !== '');
}
