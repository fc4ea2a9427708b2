import type { SecretsProvider } from '../../../sdk/index.ts';
import { formatPath, isRecord } from '../../config/config-path.ts';
import type { Environment } from '../../config/paths.ts';
import { createSecretFields, PROFILE_FIELDS, sourceSettings, targetedUses } from '../../secrets/activate.ts';
import { configChoices, type FieldChoice, profileChoices } from '../../secrets/field-choices.ts';
import type { SecretsPlan } from '../../secrets/plan.ts';
import type { AgentFiles } from '../../secrets/stored-files.ts';
import type { CommandContext } from '../command.ts';
import type { Outlook } from '../planning.ts';
import type { Prompt } from '../prompt.ts';
import { readHostVersion } from '../version.ts';
import { type ProviderBlock, type SourceForm, sourceForms } from './provider-form.ts';
import type { Keeping } from './secret-presets.ts';

/** What an operator has chosen so far. Nothing of it is written. */
export interface ConfigureSession {
  context: CommandContext;
  outlook: Outlook;
  prompt: Prompt;
  allowExec: boolean;
  agentId: string;
  env: Environment;
  /** The installed sources. */
  forms: SourceForm[];
  source(name: string): Promise<SecretsProvider | undefined>;
  /** The configuration with the providers as they would be. */
  config(): object;
  fields(): FieldChoice[];
  /** Whether a field was chosen already, or is a copy that goes with one that was. */
  isSettled(choice: FieldChoice): boolean;
  take(choice: FieldChoice, keeping: Keeping): void;
  setProvider(alias: string, block: ProviderBlock): void;
  removeProvider(alias: string): void;
  /** The fields whose reference has that alias. */
  usersOf(alias: string): string[];
  /** The variable under which a model provider looks for its key. */
  variableOf(provider: string): string | undefined;
  plan(): SecretsPlan;
}

export type SessionOptions = Pick<ConfigureSession, 'context' | 'outlook' | 'prompt' | 'allowExec' | 'source'> & { agent: AgentFiles };

export function createConfigureSession({ agent, ...options }: SessionOptions): ConfigureSession {
  const { loaded, catalog } = options.outlook;
  const fields = createSecretFields(catalog.entries);
  const upserts = new Map<string, ProviderBlock>();
  const deletes = new Set<string>();
  const targets = new Map<string, { choice: FieldChoice; keeping: Keeping }>();
  const choices = [...configChoices(loaded.source, fields), ...profileChoices(agent)].toSorted(
    (one, other) => Number(other.state === 'plain') - Number(one.state === 'plain'),
  );
  const nameOf = ({ agentId = '', path }: FieldChoice) => `${agentId}\0${formatPath(path)}`;
  // what `options.scrubAuthProfilesForProviderTargets` of a plan removes
  const isCopy = (one: FieldChoice, chosen: FieldChoice) =>
    one.agentId !== undefined && chosen.agentId === undefined && one.value !== undefined && one.value === chosen.value && one.provider === chosen.provider;
  const setProvider = (alias: string, block: ProviderBlock) => {
    deletes.delete(alias);
    upserts.set(alias, block);
  };

  function config(): object {
    const secrets = isRecord(loaded.config.secrets) ? loaded.config.secrets : {};
    const kept = Object.entries(sourceSettings(loaded.config).providers).filter(([alias]) => !deletes.has(alias));
    return { ...loaded.config, secrets: { ...secrets, providers: Object.fromEntries([...kept, ...upserts]) } };
  }

  return {
    ...options,
    agentId: agent.id,
    env: loaded.env,
    forms: sourceForms(options.outlook),
    config,
    fields: () => choices,
    isSettled: (choice) => targets.has(nameOf(choice)) || [...targets.values()].some(({ choice: chosen }) => isCopy(choice, chosen)),
    take(choice, keeping) {
      targets.set(nameOf(choice), { choice, keeping });
      if (keeping.provider !== undefined) setProvider(keeping.provider.alias, keeping.provider.block);
    },
    setProvider,
    removeProvider(alias) {
      upserts.delete(alias);
      if (sourceSettings(loaded.config).providers[alias] !== undefined) deletes.add(alias);
    },
    usersOf(alias) {
      const facts = { env: {}, isServed: () => true };
      const stored = agent.profiles.stored === undefined ? [] : [{ config: agent.profiles.stored.value, fields: PROFILE_FIELDS }];
      const present = [{ config: loaded.config, fields }, ...stored].flatMap((each) => targetedUses({ ...each, fields: { ...fields, ...each.fields }, facts }));
      const kept = present.filter(({ refs }) => refs.some(({ provider }) => provider === alias)).map(({ path }) => formatPath(path));
      const chosen = [...targets.values()].filter(({ keeping }) => keeping.ref.provider === alias).map(({ choice }) => choice.label);
      return [...new Set([...kept, ...chosen])];
    },
    variableOf(provider) {
      const manifests = [...catalog.entries.values()].map(({ manifest }) => manifest);
      const named = manifests.map((each) => each.providerAuthEnvVars?.[provider]?.[0] ?? each.providerCatalog?.[provider]?.envVars?.[0]);
      return named.find((name) => name !== undefined) ?? `${provider.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_API_KEY`;
    },
    plan: () => ({
      version: 1,
      protocolVersion: 1,
      generatedAt: new Date().toISOString(),
      generatedBy: `durar secrets configure ${readHostVersion()}`,
      providerUpserts: Object.fromEntries(upserts),
      providerDeletes: [...deletes],
      targets: [...targets.values()].map(({ choice: { type, path, agentId, provider }, keeping }) => ({
        type,
        path: [...path],
        ...(agentId === undefined ? {} : { agentId, ...(provider === undefined ? {} : { authProfileProvider: provider }) }),
        ref: keeping.ref,
      })),
      options: { scrubEnv: true, scrubAuthProfilesForProviderTargets: true, scrubLegacyAuthJson: true },
    }),
  };
}
