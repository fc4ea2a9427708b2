import { isRecord } from '../../config/config-path.ts';
import { sourceSettings } from '../../secrets/activate.ts';
import { askUntilValid } from '../../secrets/preflight.ts';
import { checkProviderBlocks } from '../../secrets/provider-blocks.ts';
import type { Choice } from '../prompt.ts';
import type { ConfigureSession } from './configure-session.ts';
import { askBlock, type ProviderBlock } from './provider-form.ts';

type Step = 'add' | 'edit' | 'remove' | 'done';

/** Lets the operator add, edit and remove the providers of `secrets.providers`. */
export async function chooseProviders(session: ConfigureSession): Promise<void> {
  const { prompt } = session;
  for (;;) {
    const aliases = Object.entries(sourceSettings(session.config()).providers);
    const shown = aliases.map(([alias, block]) => `${alias} (${isRecord(block) ? String(block.source) : ''})`).join(', ');
    const steps: Array<Choice<Step>> = [
      { label: 'add a provider', value: 'add' },
      ...(aliases.length === 0
        ? []
        : [
            { label: 'edit one', value: 'edit' as const },
            { label: 'remove one', value: 'remove' as const },
          ]),
      { label: 'go on', value: 'done' },
    ];
    const step = await prompt.choose(
      `Providers of secrets: ${shown === '' ? 'none yet; the next step makes those that it needs' : shown}`,
      steps,
      steps.length - 1,
    );
    if (step === 'done') return;
    if (step === 'add') await add(session);
    else if (step === 'edit') await edit(session);
    else await remove(session);
  }
}

async function add(session: ConfigureSession): Promise<void> {
  const { prompt, forms } = session;
  const { providers } = sourceSettings(session.config());
  const form = await prompt.choose(
    'Which source?',
    forms.map((each) => ({ label: each.source, note: each.description ?? each.label, value: each })),
    0,
  );
  const alias = await prompt.text('Name of the provider', {
    preset: providers[form.source] === undefined ? form.source : `${form.source}_2`,
    check(text) {
      if (!/^[a-z][a-z0-9_-]{0,63}$/.test(text)) return 'Small letters, digits, _ and -; it begins with a letter.';
      return providers[text] === undefined ? undefined : 'There is one of that name.';
    },
  });
  await askValid(session, alias, () => askBlock(prompt, form));
}

async function edit(session: ConfigureSession): Promise<void> {
  const alias = await pick(session, 'Which one?');
  const block = sourceSettings(session.config()).providers[alias];
  const source = isRecord(block) ? String(block.source) : '';
  const form = session.forms.find((each) => each.source === source) ?? {
    source,
    label: source,
    properties: {},
    required: new Set<string>(),
    sensitive: new Set<string>(),
  };
  await askValid(session, alias, () => askBlock(session.prompt, form, isRecord(block) ? block : {}));
}

async function remove(session: ConfigureSession): Promise<void> {
  const alias = await pick(session, 'Which one?');
  const users = session.usersOf(alias);
  if (users.length > 0) return session.prompt.say(`  It is in use and stays: ${users.join(', ')}`);
  session.removeProvider(alias);
}

async function pick({ prompt, config }: ConfigureSession, question: string): Promise<string> {
  return await prompt.choose(
    question,
    Object.keys(sourceSettings(config()).providers).map((alias) => ({ label: alias, value: alias })),
  );
}

/** What the source's own schema refuses is told, and asked for again. */
async function askValid(session: ConfigureSession, alias: string, ask: () => Promise<ProviderBlock>): Promise<void> {
  const block = await askUntilValid({
    ask,
    check: async (given) => checkProviderBlocks({ secrets: { providers: { [alias]: given } } }, session.outlook.plan)[0]?.message,
    tell: (problem) => session.prompt.say(session.context.output.paint.error(`  ✗ ${problem}`)),
  });
  if (block !== undefined) session.setProvider(alias, block);
}
