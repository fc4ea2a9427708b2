import { AGENT_ERRORS } from './error-codes/agent.ts';
import { AUTH_ERRORS } from './error-codes/auth.ts';
import { CHANNEL_ERRORS } from './error-codes/channel.ts';
import { CLI_ERRORS } from './error-codes/cli.ts';
import { CONFIG_ERRORS } from './error-codes/config.ts';
import { EXTENSION_ERRORS } from './error-codes/extension.ts';
import { GATEWAY_ERRORS } from './error-codes/gateway.ts';
import { INSTALL_ERRORS } from './error-codes/install.ts';
import { MANIFEST_ERRORS } from './error-codes/manifest.ts';
import { STATE_ERRORS } from './error-codes/state.ts';

/** One row of the error table: a sentence with `{name}` places, what to do next, and whether trying again can help. */
export interface ErrorRow {
  message: string;
  hint: string;
  retry?: boolean;
}

/** Every coded error of the host. Extensions use their own prefix, never `DUR_`. */
export const ERRORS = {
  ...CONFIG_ERRORS,
  ...MANIFEST_ERRORS,
  ...EXTENSION_ERRORS,
  ...INSTALL_ERRORS,
  ...STATE_ERRORS,
  ...AGENT_ERRORS,
  ...AUTH_ERRORS,
  ...CHANNEL_ERRORS,
  ...GATEWAY_ERRORS,
  ...CLI_ERRORS,
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** Whose failure it is. Every field that is known is filled. */
export interface ErrorOwner {
  /** id of the extension */
  extension?: string;
  /** hook point, port method or registration method */
  hook?: string;
  /** absolute path */
  file?: string;
  /** JSON pointer into that file or payload */
  pointer?: string;
  line?: number;
  column?: number;
}

export interface ErrorExtras {
  owner?: ErrorOwner;
  cause?: unknown;
  /** Replaces the table's hint where the place knows better. */
  hint?: string;
  details?: unknown;
}

/** What an error looks like on the wire, in `--json` output and in diagnostics. */
export interface ErrorReport {
  code: string;
  message: string;
  hint: string;
  owner: ErrorOwner;
  retry: boolean;
  details?: unknown;
  cause?: string;
}

/**
 * The host's error. Compare by `code`, not by class: an extension may hold a second copy of this module.
 * `message` is one sentence without a final point; `hint` is the sentence that says what to do next.
 */
export class DurarError extends Error {
  readonly code: string;
  readonly hint: string;
  readonly owner: ErrorOwner;
  readonly retry: boolean;
  readonly details?: unknown;

  constructor(code: string, message: string, extras: ErrorExtras & { retry?: boolean } = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'DurarError';
    this.code = code;
    this.hint = extras.hint ?? '';
    this.owner = extras.owner ?? {};
    this.retry = extras.retry ?? false;
    if (extras.details !== undefined) this.details = extras.details;
  }
}

/** Makes the error of a table row. `values` fill the row's `{name}` places. Never throws. */
export function durarError(code: ErrorCode, values: Record<string, unknown> = {}, extras: ErrorExtras = {}): DurarError {
  const row: ErrorRow = ERRORS[code];
  return new DurarError(code, fill(row.message, values), {
    ...extras,
    hint: extras.hint ?? fill(row.hint, values),
    retry: row.retry ?? false,
  });
}

/** The error's code, or undefined for anything that carries none. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The text of anything that was thrown. */
export function errorText(error: unknown): string {
  if (error instanceof Error) return error.message;
  return typeof error === 'string' ? error : String(error);
}

/** Flattens any thrown value into the report shape. Foreign errors get the code `DUR_UNKNOWN`. */
export function reportError(error: unknown): ErrorReport {
  const isCoded = error instanceof Error && typeof errorCode(error) === 'string' && 'hint' in error;
  const source = (isCoded ? error : undefined) as DurarError | undefined;
  const cause = error instanceof Error && error.cause !== undefined ? errorText(error.cause) : undefined;
  return {
    code: source?.code ?? errorCode(error) ?? 'DUR_UNKNOWN',
    message: errorText(error),
    hint: source?.hint ?? '',
    owner: source?.owner ?? {},
    retry: source?.retry ?? false,
    ...(source?.details === undefined ? {} : { details: source.details }),
    ...(cause === undefined ? {} : { cause }),
  };
}

function fill(template: string, values: Record<string, unknown>): string {
  return template.replace(/\{(\w+)\}/g, (place, name: string) => (name in values ? String(values[name]) : place));
}
