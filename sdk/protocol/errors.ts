/** The closed set of top-level error codes; finer reasons are in `details.code`. */
export const PROTOCOL_ERROR_CODES = ['INVALID_REQUEST', 'NOT_PAIRED', 'UNAVAILABLE', 'NOT_LINKED', 'AGENT_TIMEOUT', 'APPROVAL_NOT_FOUND'] as const;

export type ProtocolErrorCode = (typeof PROTOCOL_ERROR_CODES)[number];

/** What the error of a response carries. */
export interface ProtocolErrorBody {
  code: string;
  message: string;
  details?: unknown;
  retryable?: boolean;
  retryAfterMs?: number;
}

/** Thrown by a method to answer with exactly this error. `payload` rides beside it on the response. */
export class ProtocolError extends Error {
  readonly code: ProtocolErrorCode;
  readonly details?: unknown;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly payload?: unknown;

  constructor(
    code: ProtocolErrorCode,
    message: string,
    extras: { details?: unknown; retryable?: boolean; retryAfterMs?: number; payload?: unknown; cause?: unknown } = {},
  ) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'ProtocolError';
    this.code = code;
    if (extras.details !== undefined) this.details = extras.details;
    if (extras.retryable !== undefined) this.retryable = extras.retryable;
    if (extras.retryAfterMs !== undefined) this.retryAfterMs = extras.retryAfterMs;
    if (extras.payload !== undefined) this.payload = extras.payload;
  }

  body(): ProtocolErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.details === undefined ? {} : { details: this.details }),
      ...(this.retryable === undefined ? {} : { retryable: this.retryable }),
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
    };
  }
}

/** By its code, not by class: an extension may hold a second copy of this module. */
export function isProtocolError(error: unknown): error is ProtocolError {
  return error instanceof Error && 'code' in error && 'body' in error && PROTOCOL_ERROR_CODES.includes(error.code as ProtocolErrorCode);
}

/** The part of an ajv error that the text is made from. */
interface ValidationIssue {
  keyword?: string;
  instancePath?: string;
  message?: string;
  params?: Record<string, unknown>;
}

/** The wire's text of failed validation: `at <pointer>: <message>`, joined by `; `. */
export function validationText(issues: readonly ValidationIssue[] | null | undefined): string {
  const texts = (issues ?? []).map((issue) => {
    const path = issue.instancePath ?? '';
    if (issue.keyword === 'additionalProperties') return `at ${path || 'root'}: unexpected property '${String(issue.params?.additionalProperty)}'`;
    return path === '' ? (issue.message ?? 'is invalid') : `at ${path}: ${issue.message ?? 'is invalid'}`;
  });
  return [...new Set(texts)].join('; ') || 'unknown validation error';
}
