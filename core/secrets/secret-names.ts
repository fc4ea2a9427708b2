/** Fragments of header names whose value is a credential. */
const HEADER = /authorization|api-?key|token|secret|password|credential|cookie/i;
/** Words of variable names whose value is one. `MAX_TOKENS` is none. */
const VARIABLE =
  /(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|PAT|(?:API|AUTH|ACCESS|PRIVATE|SIGNING|SECRET|MASTER|ENCRYPTION)_?KEY)(?:_|$)/i;

export function isSecretHeader(name: string): boolean {
  return HEADER.test(name);
}

export function isSecretVariable(name: string): boolean {
  return VARIABLE.test(name);
}

/** What a generated catalogue of models has in the place of a secret: the name of a variable, or that a reference stands in the configuration. */
export function isMarker(text: string, variables: ReadonlySet<string>): boolean {
  if (text === MANAGED || /^secretref-env:\w+$/.test(text) || /^\$\{\w+\}$/.test(text)) return true;
  return /^[A-Z][A-Z0-9_]*$/.test(text) && (variables.has(text) || (text.includes('_') && isSecretVariable(text)));
}

/** The marker of a secret that is resolved elsewhere. */
export const MANAGED = 'secretref-managed';
