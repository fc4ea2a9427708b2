import { withChannelFields } from '../../sdk/channel-fields.ts';
import type { PluginManifest } from '../../sdk/index.ts';
import type { ConfigSchemaLookupResult, ConfigSchemaResult } from '../../sdk/protocol/generated/types.ts';
import { lookupSchema } from '../config/schema-lookup.ts';
import { type Block, type Blocks, type SchemaView, viewSchema } from '../config/schema-view.ts';
import type { Generation } from '../kernel/generation.ts';
import type { GatewayOptions } from './options.ts';

type Source = Pick<GatewayOptions, 'source' | 'version'>;

/** The schema of the configuration with those of the installed extensions. */
export interface ConfigSchemas {
  describe(): ConfigSchemaResult;
  /** undefined: the schema has no such place. */
  find(path: string): ConfigSchemaLookupResult | undefined;
}

/** Made once per generation, when it is first asked for. */
export function createConfigSchemas({ source, version }: Source): ConfigSchemas {
  let made: { generation: Generation; view: SchemaView; generatedAt: string } | undefined;
  const current = () => {
    const generation = source.current();
    if (made?.generation !== generation) made = { generation, view: viewSchema(blocksOf(generation)), generatedAt: new Date().toISOString() };
    return made;
  };
  return {
    describe() {
      const { view, generatedAt } = current();
      return { schema: view.schema, uiHints: view.hints, version, generatedAt };
    },
    find: (path) => lookupSchema(current().view, path),
  };
}

function blocksOf(generation: Generation): Blocks {
  const manifests = Array.from(generation.plan.extensions.values(), ({ entry }) => ({ id: entry.id, manifest: entry.manifest }));
  return {
    plugins: manifests.map(({ id, manifest }) => ({
      id,
      schema: manifest.configSchema ?? { type: 'object' },
      label: manifest.name,
      description: manifest.description,
      hints: manifest.uiHints,
    })),
    channels: manifests.flatMap(({ manifest }) => named(manifest.channelConfigs)).map((block) => ({ ...block, schema: withChannelFields(block.schema) })),
    sources: manifests.flatMap(({ manifest }) => named(manifest.secretSourceConfigs)),
  };
}

function named(configs: PluginManifest['secretSourceConfigs'] = {}): Block[] {
  return Object.entries(configs).map(([id, { schema, label, description, uiHints: hints }]) => ({ id, schema, label, description, hints }));
}
