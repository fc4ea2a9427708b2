import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const output = async (file: string, args: string[]) => {
  try {
    await run(file, args, { cwd: root, maxBuffer: 2 ** 26 });
    return '';
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout}${stderr}`;
  }
};
const bin = (name: string) => join(root, 'node_modules/.bin', name);

describe('npm run check', () => {
  it('types', async () => {
    expect(await output(bin('tsc'), ['-p', '.'])).toBe('');
  }, 120_000);

  it('format and lint', async () => {
    expect(await output(bin('biome'), ['check', '--diagnostic-level=error', '.'])).toBe('');
  }, 60_000);

  it('generated files are those of their sources', async () => {
    expect(await output(process.execPath, [join(root, '.ci/generate.ts'), '--check'])).toBe('');
  }, 60_000);
});
