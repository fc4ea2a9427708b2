import { defineChannelPluginEntry } from 'Durar/plugin-sdk/core';
import { createSlack } from './channel.ts';

export default defineChannelPluginEntry({ id: 'slack', name: 'Slack', plugin: createSlack() });
