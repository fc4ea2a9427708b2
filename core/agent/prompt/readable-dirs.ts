import { errorText, type PromptSectionParams } from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';

/** Folders that the sections of a prompt point the model to. A section that fails names none and is logged. */
export async function readableDirs(generation: Generation, params: Omit<PromptSectionParams, 'mode'>, log: Logger): Promise<string[]> {
  const sections = (await generation.contributions('promptSection')).filter(({ value }) => value.readable !== undefined);
  const dirs = sections.map(async ({ key, owner, value }) => {
    try {
      return (await value.readable?.(params)) ?? [];
    } catch (error) {
      log.error(`the prompt section '${key}' of '${owner}' cannot say what may be read: ${errorText(error)}`, { extension: owner });
      return [];
    }
  });
  return (await Promise.all(dirs)).flat();
}
