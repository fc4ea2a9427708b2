import { definePluginEntry, type Tool } from 'Durar/plugin-sdk/core';

export default definePluginEntry({
  id: '__ID__',
  register(api) {
    api.registerTool(createTool(String(api.pluginConfig.timeZone)));
  },
});

function createTool(defaultZone: string): Tool {
  return {
    name: '__TOOL__',
    label: '__NAME__',
    description: 'Tells the present date and time in a time zone.',
    parameters: {
      type: 'object',
      additionalProperties: false,
      properties: { timeZone: { type: 'string', description: 'IANA name such as Europe/Berlin; the default is the configured one.' } },
    },
    // The host has checked the arguments against `parameters`; a throw becomes an error result that the model sees.
    async execute(_callId, { timeZone = defaultZone }, signal) {
      signal?.throwIfAborted();
      const text = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'long', timeZone: String(timeZone) }).format();
      return { content: [{ type: 'text', text }], details: { timeZone } };
    },
  };
}
