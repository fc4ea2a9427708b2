import type { ErrorOwner } from '../../sdk/errors.ts';
import { errorCode } from '../../sdk/errors.ts';
import { ProtocolError } from '../../sdk/protocol/errors.ts';
import { formatPath, isRecord, type Segment } from '../config/config-path.ts';
import { updateTo } from '../config/edit.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { mergePatch } from '../config/merge-patch.ts';
import { parseText } from '../config/parse.ts';
import { redactConfig, restoreRedacted } from '../config/redact.ts';
import { maskUrlPasswords, restoreUrlPasswords } from '../config/url-credentials.ts';
import { writeConfig } from '../config/write.ts';
import type { Adoption, GatewayOptions } from './options.ts';

export interface Issue {
  path: string;
  message: string;
}

export interface ConfigWrite {
  before: LoadedConfig;
  next: LoadedConfig;
  changed: boolean;
  /** undefined when nothing changed. */
  adoption: Adoption | undefined;
}

/** The configuration file as the methods read and change it. Writes are one at a time; each is live when it is answered. */
export interface ConfigFile {
  read(): Promise<LoadedConfig>;
  /** Throws the `ProtocolError` that the caller is answered with; then file and generation are as before. */
  write(params: {
    reason: string;
    restartDelayMs?: number | undefined;
    edit(text: string, present: LoadedConfig): string | Promise<string>;
  }): Promise<ConfigWrite>;
  /** Without its secrets. */
  redact<T>(value: T): T;
}

const FIRST_ISSUES = 3;

export function createConfigFile({ paths, control }: Pick<GatewayOptions, 'paths' | 'control'>): ConfigFile {
  const { env, isSecret, adopt, revert } = control.config;
  let queue: Promise<unknown> = Promise.resolve();

  const write: ConfigFile['write'] = async ({ reason, restartDelayMs, edit }) => {
    let before: LoadedConfig | undefined;
    let adoption: Adoption | undefined;
    try {
      const next = await writeConfig({
        paths,
        env,
        edit(text, present) {
          before = present;
          return edit(text, present);
        },
        async approve(candidate) {
          adoption = await adopt(candidate, reason, { restartDelayMs });
        },
      });
      adoption?.written();
      return { before: before ?? next, next, changed: adoption !== undefined, adoption };
    } catch (error) {
      if (adoption !== undefined) await revert();
      throw refusal(error);
    }
  };

  return {
    read: () => loadConfig({ paths, env }),
    write(params) {
      const turn = queue.then(() => write(params));
      queue = turn.catch(() => undefined);
      return turn;
    },
    redact: (value) => maskUrlPasswords(redactConfig(value, isSecret)),
  };
}

/** The text whose content is `next`. Comments and order of the present text stay where it is possible. */
export async function rewrite(text: string, present: LoadedConfig, raw: string): Promise<string> {
  const next = await parseText(raw, 'raw');
  if (!isRecord(next)) throw new ProtocolError('INVALID_REQUEST', 'invalid config: (root): must be an object');
  const current = await parseText(text, present.file).catch((error: unknown) => {
    if (errorCode(error) === 'DUR_CONFIG_SYNTAX') return undefined;
    throw error;
  });
  // What is no plain JSON may bring comments of its own; a file that cannot be read is replaced.
  if (!isPlainJson(raw) || !isRecord(current)) return raw;
  const restored = restoreUrlPasswords(restoreRedacted(next, current, present.source), current);
  return updateTo(text, current, keepTemplates(restored, current, present.config));
}

/** The text after a merge patch; what the patch does not change stays as it is written. */
export async function patched(text: string, present: LoadedConfig, raw: string): Promise<string> {
  const patch = await parseText(raw, 'raw');
  if (!isRecord(patch)) throw new ProtocolError('INVALID_REQUEST', 'config.patch raw must be an object');
  const current = (await parseText(text, present.file)) ?? {};
  return updateTo(text, current, mergePatch(current, restoreUrlPasswords(restoreRedacted(patch, current, present.source), current)));
}

/** What is wrong with a configuration, as the wire tells it. */
export function issuesOf(errors: readonly unknown[]): Issue[] {
  return errors.map((error) => {
    const { message, owner } = error as { message: string; owner?: ErrorOwner };
    const path = owner?.pointer === undefined ? '' : formatPath(segmentsOf(owner.pointer));
    const opening = `'${path}' `;
    return { path, message: path !== '' && message.startsWith(opening) ? message.slice(opening.length) : message };
  });
}

/** An unchanged value that the file writes as `${NAME}` stays a template; it must not be replaced by what it stands for. */
function keepTemplates(next: unknown, current: unknown, effective: unknown): unknown {
  if (typeof next === 'string') return typeof current === 'string' && current.includes('${') && next === effective ? current : next;
  if (Array.isArray(next)) return next.map((item, index) => keepTemplates(item, memberOf(current, index), memberOf(effective, index)));
  if (!isRecord(next)) return next;
  return Object.fromEntries(Object.entries(next).map(([key, value]) => [key, keepTemplates(value, memberOf(current, key), memberOf(effective, key))]));
}

function memberOf(value: unknown, key: Segment): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<Segment, unknown>)[key] : undefined;
}

function isPlainJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function refusal(error: unknown): unknown {
  const code = errorCode(error);
  if (code === 'DUR_CONFIG_CHANGED')
    return new ProtocolError('INVALID_REQUEST', 'config changed since last load; re-run config.get and retry', { cause: error });
  if (code === 'DUR_HOST_FAILED') return invalid((error as { failures?: readonly unknown[] }).failures ?? [error], error);
  if (code === 'DUR_CONFIG_REFUSED') return invalid((error as { details?: unknown[] }).details ?? [error], error);
  return code?.startsWith('DUR_CONFIG_') && code !== 'DUR_CONFIG_WRITE' ? invalid([error], error) : error;
}

function invalid(errors: readonly unknown[], cause: unknown): ProtocolError {
  const issues = issuesOf(errors);
  const first = issues
    .slice(0, FIRST_ISSUES)
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    .join('; ');
  const isSecret = errors.some((error) => errorCode(error)?.startsWith('DUR_SECRET_'));
  const text = isSecret ? `active SecretRef resolution failed (${first})` : first;
  return new ProtocolError('INVALID_REQUEST', `invalid config: ${text}`, { details: { issues }, cause });
}

function segmentsOf(pointer: string): Segment[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}
