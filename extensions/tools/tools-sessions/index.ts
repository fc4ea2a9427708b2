import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createExchanges } from './exchange.ts';
import { createHistoryTool } from './history.ts';
import { createListTool } from './list.ts';
import { createReach } from './reach.ts';
import { createSendTool } from './send.ts';
import { createAgentsTool, createSpawnTool } from './spawn.ts';
import { createStatusTool } from './status.ts';
import { createSubagentsTool } from './subagents.ts';

export default definePluginEntry({
  id: 'tools-sessions',
  name: 'Session tools',
  register(api) {
    const { runtime } = api;
    const exchanges = createExchanges({ runtime, log: api.logger, ended: api.signal });
    api.registerTool(
      (context) => {
        const reach = createReach(runtime, context);
        return [
          createSpawnTool(runtime, context),
          createAgentsTool(runtime, context),
          createSubagentsTool(runtime, context),
          createListTool(runtime, reach),
          createHistoryTool(runtime, reach),
          createSendTool({ runtime, context, reach, exchanges }),
          createStatusTool(context, reach),
        ];
      },
      { names: ['agents_list', 'session_status', 'sessions_history', 'sessions_list', 'sessions_send', 'sessions_spawn', 'subagents'] },
    );
  },
});
