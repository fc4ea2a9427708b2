import type { SecretRef, SecretsProvider } from '../../sdk/index.ts';
import { resolveRefs, type SourceSettings } from './batches.ts';
import { keyOf } from './ref.ts';

export interface PreflightOptions {
  /** With the providers as they would be. */
  settings: SourceSettings;
  env: Readonly<Record<string, string | undefined>>;
  source(name: string): Promise<SecretsProvider | undefined>;
}

/**
 * Looks whether a reference would work before it is stored: the form of its id, its provider, and that it resolves to a text that is not
 * empty. Tells why not, or the secret, to compare it with what it replaces.
 */
export async function preflightRef(ref: SecretRef, options: PreflightOptions): Promise<{ problem: string } | { value: string }> {
  const { values, problems } = await resolveRefs([ref], options);
  const error = problems.get(keyOf(ref))?.([]);
  return error === undefined ? { value: values.get(keyOf(ref)) ?? '' } : { problem: error.message.replace(/^.*? cannot be resolved: /, '') };
}

/** Asks until the answer passes; what is wrong with one is told before the next. `undefined` ends it. */
export async function askUntilValid<Answer>(steps: {
  ask(): Promise<Answer | undefined>;
  check(answer: Answer): Promise<string | undefined>;
  tell(problem: string): void;
}): Promise<Answer | undefined> {
  for (;;) {
    const answer = await steps.ask();
    if (answer === undefined) return undefined;
    const problem = await steps.check(answer);
    if (problem === undefined) return answer;
    steps.tell(problem);
  }
}
