import { defineChannelPluginEntry } from 'Durar/plugin-sdk/core';
import { createTelegram } from './channel.ts';

export default defineChannelPluginEntry({ id: 'telegram', name: 'Telegram', plugin: createTelegram() });
