import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { registerMethods } from './methods.ts';
import { NodeRegistry } from './registry.ts';

export default definePluginEntry({
  id: 'node-registry',
  name: 'Nodes',
  register(api) {
    const registry = new NodeRegistry(api);
    api.defer(() => registry.close());
    api.registerService({ id: 'node-registry', start: () => registry.attach() });
    registerMethods(api, registry);
  },
});
