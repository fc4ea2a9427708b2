import { errorCode, errorText } from '../../../sdk/errors.ts';
import type { SecretRef } from '../../../sdk/index.ts';
import { isRecord } from '../../config/config-path.ts';
import { isSecretRef, sourceSettings } from '../../secrets/activate.ts';
import { type FieldChoice, profileChoice } from '../../secrets/field-choices.ts';
import type { ProfileType } from '../../secrets/plan.ts';
import { askUntilValid, preflightRef } from '../../secrets/preflight.ts';
import type { Choice } from '../prompt.ts';
import type { ConfigureSession } from './configure-session.ts';
import { askBlock } from './provider-form.ts';
import { findProgram, freeAlias, type Keeping, keepInEnvironment, keepInFile, keepInPass, type PresetContext } from './secret-presets.ts';

const SHOWN = 12;
const STATES = { plain: 'plain text', reference: 'a reference', empty: 'not set' } as const;

/** Lets the operator pick fields, one after the other, and say where each secret is kept. */
export async function chooseFields(session: ConfigureSession): Promise<void> {
  const { prompt } = session;
  for (;;) {
    const choice = await pickField(session);
    if (choice === undefined) return;
    const keeping = await keepSecret(session, choice);
    if (keeping === undefined) continue;
    session.take(choice, keeping);
    prompt.say(`  ${choice.label} → ${keeping.ref.source}:${keeping.ref.provider}:${keeping.ref.id}`);
  }
}

async function pickField(session: ConfigureSession): Promise<FieldChoice | undefined> {
  const { prompt, agentId } = session;
  const open = session.fields().filter((choice) => !session.isSettled(choice));
  const first = open.filter(({ state }) => state === 'plain');
  const shown = first.length > 0 ? first : open.slice(0, SHOWN);
  const row = (choice: FieldChoice): Choice<FieldChoice | 'more' | 'new' | undefined> => ({ label: choice.label, note: STATES[choice.state], value: choice });
  const last: Array<Choice<FieldChoice | 'more' | 'new' | undefined>> = [
    { label: 'a new credential', note: `of agent ${agentId}`, value: 'new' },
    { label: 'done', value: undefined },
  ];
  const more = open.length - shown.length;
  const choices = [...shown.map(row), ...(more > 0 ? [{ label: 'another field', note: `${more} more`, value: 'more' as const }] : []), ...last];
  const title = first.length > 0 ? `Which secret should move? ${first.length} in plain text` : 'Which field should get a reference?';
  let picked = await prompt.choose(title, choices, first.length > 0 ? 0 : choices.length - 1);
  if (picked === 'more') picked = await prompt.choose('Which field?', [...open.filter((choice) => !shown.includes(choice)).map(row), ...last]);
  if (picked === 'new') return await newCredential(session);
  return picked === 'more' ? undefined : picked;
}

async function newCredential({ prompt, agentId, fields }: ConfigureSession): Promise<FieldChoice> {
  const type = await prompt.choose<ProfileType>(
    'What kind of credential?',
    [
      { label: 'an API key', value: 'auth-profiles.api_key.key' },
      { label: 'a token', value: 'auth-profiles.token.token' },
    ],
    0,
  );
  const provider = await prompt.text('Model provider', {
    check: (text) => (/^[a-z0-9][a-z0-9._-]*$/i.test(text) ? undefined : 'A provider id, such as openai.'),
  });
  const taken = new Set(
    fields()
      .filter((choice) => choice.agentId === agentId)
      .map(({ path }) => String(path[1])),
  );
  const profileId = await prompt.text('Name of the credential', {
    ...(taken.has(`${provider}:default`) ? {} : { preset: `${provider}:default` }),
    check(text) {
      if (taken.has(text)) return 'There is one of that name; choose it from the list instead.';
      return /^[A-Za-z0-9][\w.:@+-]*$/.test(text) ? undefined : 'Letters, digits and ._:@+-, such as openai:work.';
    },
  });
  return profileChoice(agentId, type, profileId, provider);
}

type Way = 'pass' | 'file' | 'env' | 'command' | 'typed' | 'leave' | { alias: string };

/** Where a secret will be; undefined when the operator leaves the field as it is. A place that does not work is told, and asked for again. */
async function keepSecret(session: ConfigureSession, choice: FieldChoice): Promise<Keeping | undefined> {
  const { prompt, context, allowExec } = session;
  const pass = await findProgram('pass', session.env);
  let preset = Math.max(0, allowExec ? 0 : listWays(session, pass).findIndex(({ value }) => value === 'file'));
  const tell = (problem: string) => prompt.say(context.output.paint.error(`  ✗ ${problem}`));
  return await askUntilValid<Keeping>({
    async ask() {
      for (;;) {
        const ways = listWays(session, pass);
        const way = await prompt.choose<Way>(`Where is the secret of ${choice.label} kept?`, ways, preset);
        preset = ways.findIndex(({ value }) => value === way);
        if (way === 'leave') return undefined;
        try {
          return await describe(session, choice, way, pass ?? '');
        } catch (error) {
          if (errorCode(error) === 'DUR_CLI_CANCELLED') throw error;
          tell(errorText(error));
        }
      }
    },
    async check(keeping) {
      try {
        await store(session, choice, keeping);
      } catch (error) {
        if (errorCode(error) === 'DUR_CLI_CANCELLED') throw error;
        return errorText(error);
      }
      const isSkipped = keeping.ref.source === 'exec' && !allowExec;
      if (isSkipped) prompt.say('  Not checked, since that runs a command: start with --allow-exec to check and to apply it.');
      const checked = await preflightRef(keeping.ref, { ...preflight(session, keeping), source: isSkipped ? unasked : session.source });
      if ('problem' in checked) return checked.problem;
      if (isSkipped || choice.value === undefined || choice.value === checked.value) return undefined;
      const isWanted = await prompt.confirm('It has another secret than the field. Use that one? The present one is not kept.', false);
      return isWanted ? undefined : 'Nothing is chosen for this field yet.';
    },
    tell,
  });
}

/** Stands in for a command that may not run; what the reference itself is made of is checked all the same. */
const unasked: ConfigureSession['source'] = async (source) => ({
  source,
  resolve: async ({ ids }) => ({ values: Object.fromEntries(ids.map((id) => [id, 'not asked for'])) }),
});

function preflight(session: ConfigureSession, { provider }: Keeping) {
  const settings = sourceSettings(session.config());
  const providers = provider === undefined ? settings.providers : { ...settings.providers, [provider.alias]: provider.block };
  return { settings: { ...settings, providers }, env: session.env };
}

function listWays({ config, allowExec }: ConfigureSession, pass: string | undefined): Array<Choice<Way>> {
  const { providers, defaults } = sourceSettings(config());
  const needs = allowExec ? '' : '; needs --allow-exec';
  const isDefault = (alias: string) => Object.values(defaults).includes(alias);
  const aliases = Object.keys(providers).toSorted((one, other) => Number(isDefault(other)) - Number(isDefault(one)));
  const own = aliases.map((alias): Choice<Way> => {
    const block = providers[alias];
    return {
      label: `the provider ${alias}`,
      note: `${isRecord(block) ? String(block.source) : ''}${isDefault(alias) ? ', the default' : ''}`,
      value: { alias },
    };
  });
  return [
    ...(pass === undefined ? [] : [{ label: 'pass', note: `the password store, ${pass}${needs}`, value: 'pass' as const }]),
    { label: 'a JSON file', note: 'that only you can read', value: 'file' },
    { label: 'an environment variable', value: 'env' },
    { label: 'another command', note: `age, gpg, vault, op, ...${needs}`, value: 'command' },
    ...own,
    { label: 'a reference that you type', note: 'source, provider and id', value: 'typed' },
    { label: 'leave this field as it is', value: 'leave' },
  ];
}

async function describe(session: ConfigureSession, choice: FieldChoice, way: Exclude<Way, 'leave'>, pass: string): Promise<Keeping> {
  const { prompt, context, env } = session;
  const { providers, defaults } = sourceSettings(session.config());
  const variable = choice.provider === undefined ? undefined : session.variableOf(choice.provider);
  const preset: PresetContext = { prompt, paths: context.paths, env, providers, defaults, ...(variable === undefined ? {} : { variable }) };
  if (way === 'pass') return await keepInPass(preset, choice, pass);
  if (way === 'file') return await keepInFile(preset, choice);
  if (way === 'env') return await keepInEnvironment(preset, choice);
  if (way === 'command') {
    const form = session.forms.find(({ source }) => source === 'exec');
    if (form === undefined) throw new Error('no installed extension runs commands');
    const { source, command, ...block } = await askBlock(prompt, form, { args: [], passEnv: ['PATH', 'HOME'] });
    const isRaw = await prompt.confirm('Does it print the secret itself?', true);
    const all = { source, command, ...block, ...(isRaw ? { jsonOnly: false } : {}) };
    const alias = freeAlias(
      await prompt.text('Name of this provider', { preset: String(command).split('/').at(-1)?.toLowerCase() ?? 'command' }),
      all,
      providers,
    );
    const id = isRaw ? 'value' : await prompt.text('Id of the secret');
    return { ref: { source: 'exec', provider: alias, id }, provider: { alias, block: all } };
  }
  if (way === 'typed') return { ref: await typeReference(session, choice) };
  const block = providers[way.alias];
  const source = isRecord(block) ? String(block.source) : 'env';
  const present = isSecretRef(choice.ref) && choice.ref.provider === way.alias ? choice.ref.id : undefined;
  const usual = isRecord(block) && (block.jsonOnly === false || block.mode === 'singleValue') ? 'value' : source === 'env' ? variable : undefined;
  const id = await prompt.text(`Id of the secret in ${way.alias}`, (present ?? usual) === undefined ? {} : { preset: String(present ?? usual) });
  return { ref: { source, provider: way.alias, id } };
}

async function typeReference({ prompt, forms, config }: ConfigureSession, { ref }: FieldChoice): Promise<SecretRef> {
  const { defaults } = sourceSettings(config());
  const rows = forms.map(({ source, label }): Choice<string> => ({ label: source, note: label, value: source }));
  const source = await prompt.choose(
    'Which source?',
    rows,
    Math.max(
      0,
      forms.findIndex((form) => form.source === ref?.source),
    ),
  );
  const usual = ref?.source === source ? ref.provider : defaults[source];
  const provider = await prompt.text('Provider', typeof usual === 'string' ? { preset: usual } : {});
  return { source, provider, id: await prompt.text('Id', ref === undefined ? {} : { preset: ref.id }) };
}

/** Sees to it that the secret is where it will be looked for: copies it there, or says how. */
async function store({ prompt, allowExec }: ConfigureSession, choice: FieldChoice, { ref, store: place }: Keeping): Promise<void> {
  if (place === undefined) return;
  if (place.exists) return prompt.say('  Something is there already, and is used as it is.');
  const mayRun = place.run !== undefined && choice.value !== undefined && (allowExec || ref.source !== 'exec');
  if (mayRun && (await prompt.confirm('Copy the present secret there now?', true))) {
    await place.run?.(choice.value ?? '');
    place.exists = true;
    return prompt.say('  Copied.');
  }
  prompt.say(`  Store it yourself: ${place.how}`);
  if (ref.source !== 'env') await prompt.text('Press Enter when it is there', { optional: true });
}
