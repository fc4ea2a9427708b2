import { defineChannelPluginEntry } from 'Durar/plugin-sdk/core';
import { createIrc } from './channel.ts';

export default defineChannelPluginEntry({ id: 'irc', name: 'IRC', plugin: createIrc() });
