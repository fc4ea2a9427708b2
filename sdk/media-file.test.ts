import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { openMediaFile } from './media-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'durar-media-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
writeFileSync(join(dir, 'a.txt'), '0123456789');

const refusals = { unusable: (what: string) => new Error(`unusable: ${what}`), tooLarge: (name: string) => new Error(`too large: ${name}`) };
const opened = async (url: string, most = 10) => {
  const { name, bytes } = await openMediaFile(url, most, refusals);
  return `${name} ${Buffer.from(bytes).toString()}`;
};
const file = (name: string) => pathToFileURL(join(dir, name)).href;

describe('openMediaFile', () => {
  it.each([
    [file('a.txt'), 'a.txt 0123456789'],
    ['data:text/plain;base64,aGk=', 'file.txt hi'],
    ['data:IMAGE/PNG,a%20b', 'file.png a b'],
    ['data:,x', 'file.bin x'],
  ])('%s', async (url, expected) => {
    expect(await opened(url)).toBe(expected);
  });

  it.each([
    ['data:text/plain', 'unusable: the data address has no content'],
    ['data:,%zz', 'unusable: the data address is not well formed'],
    ['ftp://host/file', "unusable: 'ftp://host/file' is no file:, data: or https: address"],
    [file('.'), 'unusable: .* is not a file'],
    [file('gone'), 'unusable: .* cannot be read \\(ENOENT\\)'],
    ['data:,01234567890', 'too large: file.bin'],
  ])('refuses %s', async (url, expected) => {
    await expect(opened(url)).rejects.toThrow(new RegExp(expected));
  });

  it('does not read a file that is too large', async () => {
    await expect(opened(file('a.txt'), 9)).rejects.toThrow('too large: a.txt');
  });
});
