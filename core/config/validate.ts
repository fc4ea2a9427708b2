import { type DurarError, durarError } from '../../sdk/errors.ts';
import { suggest } from '../../sdk/suggest.ts';
import { checkSchema, type Schema, type Violation } from './check-schema.ts';
import { formatPath, type Segment, toPointer, withoutAt } from './config-path.ts';
import schema from './generated/schema.json' with { type: 'json' };

/** Where a value stands, when that is known; `file` where it is not the one that the caller names. */
export type Locate = (path: readonly Segment[]) => { file?: string; line: number; column: number } | undefined;

export interface ValidationOptions {
  /** Named in the errors. */
  file?: string;
  locate?: Locate;
}

/** All that is wrong with a configuration value (after includes and environment, before or after defaults). Empty: it is valid. */
export function validateConfig(value: unknown, options: ValidationOptions = {}): DurarError[] {
  return checkSchema(schema as Schema, value).map((violation) => violationError(violation, options));
}

/** The parts of a value that are valid: what an error points at is left out. For commands that must work with a broken file. */
export function validParts(value: unknown): unknown {
  let rest = value;
  // Leaving out one part can uncover that its parent now lacks a required key, so look again until nothing is found.
  for (;;) {
    const violations = checkSchema(schema as Schema, rest);
    if (violations.length === 0) return rest;
    if (violations.some((violation) => violation.path.length === 0 && violation.kind !== 'unknown-key')) return {};
    // Later list items first, so that earlier indexes stay true.
    for (const { path } of violations.reverse()) rest = withoutAt(rest, path);
  }
}

/** A violation as the error that operators see. */
export function violationError(violation: Violation, options: ValidationOptions = {}): DurarError {
  const path = formatPath(violation.path);
  const place = options.locate?.(violation.path);
  const owner = { pointer: toPointer(violation.path), ...(options.file === undefined ? {} : { file: options.file }), ...place };
  if (violation.kind !== 'unknown-key') return durarError('DUR_CONFIG_INVALID', { path, reason: violation.reason }, { owner });
  const guess = suggest(String(violation.path.at(-1)), violation.known ?? []);
  if (guess === undefined) return durarError('DUR_CONFIG_UNKNOWN_KEY', { path }, { owner });
  return durarError(
    'DUR_CONFIG_UNKNOWN_KEY',
    { path },
    { owner, hint: `Did you mean '${guess}'? \`durar config schema\` shows the keys.`, details: { suggestion: guess } },
  );
}
