import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { expandSkillCommand, listSkillCommands } from './commands.ts';
import { createSkillLibrary, loadSettings } from './library.ts';
import { registerMethods } from './methods.ts';
import { skillsSection } from './prompt.ts';
import { bundledSkillsDir, shortPath } from './sources.ts';

/** Before the section about the workspace. */
const ORDER = -100;

export default definePluginEntry({
  id: 'skills',
  name: 'Skills',
  register(api) {
    const bundledDir = bundledSkillsDir(api.rootDir);
    const library = createSkillLibrary({
      params: () => ({
        config: api.config,
        stateDir: api.runtime.state.resolveStateDir(),
        bundledDir,
        extensionDirs: api.runtime.extensions.skillDirs().map(({ dir }) => dir),
      }),
      complain: ({ filePath, reason }) => api.logger.warn(`the skill ${shortPath(filePath)} is left out: ${reason}`),
    });
    api.defer(() => library.forget());
    api.registerPromptSection({
      id: 'skills',
      order: ORDER,
      async build({ mode, skills, ...whose }) {
        if (mode === 'minimal') return undefined;
        const known = await library.list(whose);
        return skillsSection(skills === undefined ? known : known.filter(({ name }) => skills.includes(name)));
      },
      readable: async (whose) => (await library.list(whose)).filter(({ eligible }) => eligible).map(({ baseDir }) => baseDir),
    });
    api.on('command.expand', async (command, { agentId, workspaceDir }) =>
      agentId === undefined || workspaceDir === undefined ? undefined : expandSkillCommand(await library.list({ agentId, workspaceDir }), command),
    );
    api.registerCommand({
      name: 'skills',
      description: 'the skills that can be started with /<name> or /skill <name>',
      handler: async ({ sessionKey = '' }) => {
        const agentId = /^agent:([^:]+):/.exec(sessionKey)?.[1] ?? 'main';
        const workspaceDir = api.runtime.agent.resolveAgentWorkspaceDir(api.config, agentId);
        return { text: listSkillCommands(await library.list({ agentId, workspaceDir })) };
      },
    });
    // without a watch a new session is the time to look again
    api.on('session_start', () => {
      if (!loadSettings(api.config).watch) library.forget();
    });
    registerMethods(api, library);
  },
});
