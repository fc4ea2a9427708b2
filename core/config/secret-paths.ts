import type { ActiveRule } from './active-rule.ts';
import type { Segment } from './config-path.ts';
import facts from './generated/facts.json' with { type: 'json' };
import { createPathPatterns } from './path-pattern.ts';

/** A field that a schema marks as a secret. */
export interface SecretField {
  /** With dots; `*` stands for any key or index. */
  path: string;
  /** Whether there is one, or many by key (`map`) or by place (`list`). */
  shape: 'value' | 'map' | 'list';
  /** Whether it takes a reference, beside a text and a template. */
  takesRef: boolean;
  /** When it is in use; those of the objects above it come first. */
  rules?: readonly ActiveRule[];
  /** The code under which the log tells whether a reference there is in use. */
  announce?: string;
}

/** Those of the host's own schema. */
export const HOST_SECRETS = facts.secrets as readonly SecretField[];
/** Rules that count for every secret below a path. */
export const ACTIVE_SCOPES = facts.scopes as ReadonlyArray<{ path: string; rules: readonly ActiveRule[] }>;

const SENSITIVE = createPathPatterns(HOST_SECRETS.map((field) => field.path));
const OPEN = createPathPatterns(facts.open);

/** Key names that hold a secret by every convention. For objects whose own schema is not known here. */
const SECRET_NAME =
  /(?:token|secret|password|passphrase|(?:api|private|signing|access|secret|encrypt|encryption|aes)[_-]?key|credentials?|authorization|cookie)$/i;

/** True for a field that the schema marks as a secret, and for one inside an extension's block whose name says so. */
export function isSecretPath(path: readonly Segment[]): boolean {
  if (SENSITIVE.covers(path)) return true;
  const name = path.findLast((segment) => typeof segment === 'string');
  return name !== undefined && SECRET_NAME.test(name) && OPEN.covers(path);
}
