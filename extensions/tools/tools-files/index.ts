import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createSerial } from 'Durar/plugin-sdk/serial';
import { createEditTool } from './edit.ts';
import { createReach } from './reach.ts';
import { createReadTool } from './read.ts';
import { createWriteTool } from './write.ts';

export default definePluginEntry({
  id: 'tools-files',
  name: 'File tools',
  register(api) {
    const { maxLines, maxChars, maxImageBytes } = api.pluginConfig;
    const limits = {
      maxLines: typeof maxLines === 'number' ? maxLines : 2000,
      maxChars: typeof maxChars === 'number' ? maxChars : 50_000,
      maxImageBytes: typeof maxImageBytes === 'number' ? maxImageBytes : 5_000_000,
    };
    const inTurn = createSerial().run;
    api.registerTool(
      (context) => {
        // a sandboxed run must not reach the host's files
        if (context.sandboxed) return null;
        const stateDir = api.runtime.state.resolveStateDir();
        const reach = createReach(context, stateDir);
        return [createReadTool(createReach(context, stateDir, { forReading: true }), limits), createWriteTool(reach, inTurn), createEditTool(reach, inTurn)];
      },
      { names: ['read', 'write', 'edit'] },
    );
  },
});
