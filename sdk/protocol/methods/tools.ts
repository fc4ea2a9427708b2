import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional, text } from '../define.ts';

const source = () => Type.Union([Type.Literal('core'), Type.Literal('plugin')]);
const liveSource = () => Type.Union([Type.Literal('core'), Type.Literal('plugin'), Type.Literal('channel')]);

export const TOOLS_METHODS = defineMethods({
  'tools.catalog': {
    scope: 'operator.read',
    params: closed({ agentId: optional(text()), includePlugins: optional(Type.Boolean()) }),
    result: open({
      agentId: Type.String(),
      profiles: Type.Array(open({ id: Type.String(), label: Type.String() })),
      groups: Type.Array(
        open({
          id: Type.String(),
          label: Type.String(),
          source: source(),
          pluginId: optional(Type.String()),
          tools: Type.Array(
            open(
              {
                id: Type.String(),
                label: Type.String(),
                description: Type.String(),
                source: source(),
                pluginId: optional(Type.String()),
                optional: optional(Type.Boolean()),
                defaultProfiles: Type.Array(Type.String()),
              },
              'CatalogTool',
            ),
          ),
        }),
      ),
    }),
  },
  'tools.effective': {
    scope: 'operator.read',
    params: closed({ sessionKey: text(), agentId: optional(text()) }),
    result: open({
      agentId: Type.String(),
      profile: Type.String(),
      groups: Type.Array(
        open({
          id: liveSource(),
          label: Type.String(),
          source: liveSource(),
          tools: Type.Array(
            open(
              {
                id: Type.String(),
                label: Type.String(),
                description: Type.String(),
                rawDescription: Type.String(),
                source: liveSource(),
                pluginId: optional(Type.String()),
                channelId: optional(Type.String()),
              },
              'EffectiveTool',
            ),
          ),
        }),
      ),
    }),
  },
});
