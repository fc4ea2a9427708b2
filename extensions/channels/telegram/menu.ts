import { CHAT_COMMAND_ROWS } from 'Durar/plugin-sdk/chat-commands';
import type { BotCommand } from 'grammy/types';
import type { TelegramAccount } from './account.ts';

/** Telegram takes no more. */
const MOST = 100;

/** The bot's menu: commands of the operator first, then the host's. */
export function menuOf({ customCommands, nativeCommands }: Pick<TelegramAccount, 'customCommands' | 'nativeCommands'>): BotCommand[] {
  const own = customCommands.map(({ command, description }) => ({ command: command.replace(/^\//, ''), description }));
  const native = nativeCommands ? CHAT_COMMAND_ROWS.map(({ name, summary }) => ({ command: name.replaceAll('-', '_'), description: summary })) : [];
  const all = [...own, ...native];
  return all.filter(({ command }, at) => all.findIndex((row) => row.command === command) === at).slice(0, MOST);
}
