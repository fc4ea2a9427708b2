import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { GLOBAL_OPTIONS } from './program.ts';
import { cliReference } from './reference.ts';
import { COMMANDS } from './table.ts';

it('docs/reference/cli.md is what `node core/cli/reference.ts` writes', async () => {
  expect(await readFile(new URL('../../docs/reference/cli.md', import.meta.url), 'utf8')).toBe(cliReference(COMMANDS, GLOBAL_OPTIONS));
});
