import { reportError } from '../../../sdk/errors.ts';
import type { ConfigChange } from '../../config/changes.ts';
import { redactConfig } from '../../config/redact.ts';
import type { Config } from '../../config/schema.ts';
import { maskUrlPasswords } from '../../config/url-credentials.ts';
import type { Finding } from '../../manifest/catalog.ts';
import { createSecretFields } from '../../secrets/activate.ts';
import type { Action, CommandContext } from '../command.ts';
import { type ConfigEffect, effectBetween, printEffect } from '../config/config-effect.ts';
import { printFindings } from '../gateway/boot-report.ts';
import { type Outlook, readOutlook } from '../planning.ts';
import { openRpc } from '../rpc.ts';
import { findRuntime } from '../runtime.ts';
import { describeUnavailable, lookUpSecrets, type SecretState } from '../secrets/secret-lookup.ts';
import { lookUpStored } from '../secrets/stored-lookup.ts';

/**
 * `durar config validate`: every error at once, with its place; what the plan of that configuration finds; secrets that cannot be had here, its own
 * and those of stored credentials; and in what it differs from what the running gateway uses.
 */
export const configValidate: Action = async (context) => {
  const { output } = context;
  const outlook = await readOutlook(context);
  const { loaded, plan } = outlook;
  const errors = loaded.errors.map(reportError);
  const findings = plan.findings.filter(({ level }) => level === 'error');
  const ok = errors.length === 0 && !findings.some(isOfConfiguration);
  const pending = errors.length === 0 ? await readPending(context, outlook) : undefined;
  const unavailable = errors.length === 0 ? await readUnavailable(context, outlook) : [];
  const document = {
    ok,
    file: loaded.file,
    exists: loaded.exists,
    errors,
    warnings: loaded.warnings.map(reportError),
    findings,
    unavailable,
    ...(pending === undefined ? {} : { pending }),
  };
  output.result(document, () => {
    const name = loaded.exists ? loaded.file : `${loaded.file} does not exist; the defaults count`;
    if (errors.length > 0) output.failure(errors);
    else output.line(`${ok ? output.paint.success('✓') : output.paint.error('✗')} ${name}`);
    printFindings(findings, output);
    for (const secret of unavailable) output.line(`${output.paint.warn('!')} ${describeUnavailable(secret)}`);
    if (pending === undefined) return;
    if (pending.keys.length === 0) output.line(output.paint.muted('The running gateway uses it.'));
    else output.line('The running gateway does not use it yet:');
    printEffect(pending, output);
  });
  return ok ? 0 : 1;
};

/** An extension that is broken by itself is named too, but leaves the configuration right. */
function isOfConfiguration({ owner }: Finding): boolean {
  return owner.pointer !== undefined && owner.file === undefined;
}

async function readUnavailable(context: CommandContext, outlook: Outlook): Promise<SecretState[]> {
  const [{ states }, stored] = await Promise.all([lookUpSecrets(context, { command: 'config validate', outlook }), lookUpStored(context, outlook)]);
  return [...states, ...stored].filter(({ state }) => state === 'unavailable');
}

/** What a gateway that runs would have to change to use what is in the file; undefined when none answers. */
async function readPending(context: CommandContext, outlook: Outlook): Promise<ConfigEffect | undefined> {
  if (!(await findRuntime(context.paths)).running) return undefined;
  const rpc = await openRpc({ ...context, options: {} }).catch(() => undefined);
  if (rpc === undefined) return undefined;
  try {
    const { live } = (await rpc.call('config.get', {})) as { live?: { config: Config; changes: Array<Pick<ConfigChange, 'path' | 'reload'>> } };
    if (live === undefined) return undefined;
    // The gateway shows no secrets, so that both sides are compared without them.
    const { isMarked } = createSecretFields(outlook.catalog.entries);
    const config = maskUrlPasswords(redactConfig(outlook.loaded.config, isMarked));
    const [before, after] = await Promise.all([live.config, config].map((each) => readOutlook(context, { loaded: { ...outlook.loaded, config: each } })));
    return before === undefined || after === undefined ? undefined : effectBetween(before, after, live.changes);
  } finally {
    rpc.close();
  }
}
