import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import cases from '../../test/cases/install/specs.json' with { type: 'json' };
import { parseSpec } from './spec.ts';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'durar-spec-'));
  await mkdir(join(cwd, 'engine'));
  await writeFile(join(cwd, 'engine.tgz'), '');
  await writeFile(join(cwd, 'engine.zip'), '');
  await writeFile(join(cwd, 'notes.txt'), '');
});
afterAll(() => rm(cwd, { recursive: true }));

describe('install specs', () => {
  for (const { spec, is, refused } of cases as Array<{ spec: string; is?: object; refused?: string }>) {
    if (is !== undefined) it(`'${spec}' is a package (CARD-027, ENGINE-009)`, async () => expect(await parseSpec(spec, { cwd })).toEqual(is));
    else {
      it(`'${spec}' is refused: ${refused}`, async () => {
        await expect(parseSpec(spec, { cwd })).rejects.toMatchObject({ code: 'DUR_INSTALL_SPEC', message: expect.stringContaining(refused ?? '') });
      });
    }
  }

  it('takes what exists on disk from there (CARD-028, CARD-030)', async () => {
    const path = join(cwd, 'engine');
    expect(await parseSpec('./engine', { cwd })).toEqual({ source: 'path', spec: path, path });
    expect(await parseSpec('engine', { cwd })).toEqual({ source: 'path', spec: path, path });
    expect(await parseSpec('engine.tgz', { cwd })).toEqual({ source: 'archive', spec: `${path}.tgz`, path: `${path}.tgz` });
    expect(await parseSpec('npm:engine', { cwd })).toMatchObject({ source: 'npm', name: 'engine' });
  });

  it('links a folder and nothing else (CARD-029)', async () => {
    const path = join(cwd, 'engine');
    expect(await parseSpec('./engine', { cwd, link: true })).toEqual({ source: 'link', spec: path, path });
    for (const spec of ['engine.tgz', 'somewhere', 'npm:engine'])
      await expect(parseSpec(spec, { cwd, link: true })).rejects.toMatchObject({ code: 'DUR_INSTALL_SPEC' });
  });

  it('refuses files that are no archive', async () => {
    await expect(parseSpec('engine.zip', { cwd })).rejects.toMatchObject({ message: expect.stringContaining('zip') });
    await expect(parseSpec('notes.txt', { cwd })).rejects.toMatchObject({ message: expect.stringContaining('not a .tgz') });
  });
});
