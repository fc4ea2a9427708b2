import { defineChannelPluginEntry } from 'Durar/plugin-sdk/core';
import { webchat } from './channel.ts';

export default defineChannelPluginEntry({ id: 'webchat', name: 'Web chat', plugin: webchat });
