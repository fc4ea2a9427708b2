import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { join } from 'node:path';
import { createRecallEngine } from './engine.ts';
import { createLedger } from './ledger.ts';
import { openStore, type Store } from './store.ts';
import { createRecallTools } from './tools.ts';

export default definePluginEntry({
  id: 'recall',
  name: 'Recall context engine',
  kind: 'context-engine',
  register(api) {
    const { recentTurns, recallShare, maxPassages } = api.pluginConfig;
    const settings = {
      recentTurns: typeof recentTurns === 'number' ? recentTurns : 20,
      recallShare: typeof recallShare === 'number' ? recallShare : 0.25,
      maxPassages: typeof maxPassages === 'number' ? maxPassages : 6,
    };
    const ledger = createLedger();
    const open = () => openStore({ file: join(api.runtime.state.resolveStateDir(), 'recall', 'recall.db'), log: api.logger, ledger });
    api.registerContextEngine('recall', () => createRecallEngine({ store: open(), ledger, settings }));
    // an engine closes its store, perhaps while a run of its successor reads: the tools have a connection of their own
    let ofTools: Store | undefined;
    const openForTools = () => {
      ofTools ??= open();
      return ofTools;
    };
    api.defer(() => ofTools?.close());
    // another engine does not feed the store, and then there is nothing to find
    api.registerTool((context) => (isSelected(context.config) ? createRecallTools(openForTools, context) : null), { names: ['recall_search', 'recall_read'] });
  },
});

function isSelected(config: Record<string, unknown>): boolean {
  const plugins = config.plugins as { slots?: { contextEngine?: unknown } } | undefined;
  return plugins?.slots?.contextEngine === 'recall';
}
