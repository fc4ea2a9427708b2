import type { Segment } from './config-path.ts';
import facts from './generated/facts.json' with { type: 'json' };
import { createPathPatterns } from './path-pattern.ts';

const SENSITIVE = createPathPatterns(facts.sensitive);
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
