import { globSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createOutput } from '../../core/cli/output.ts';
import { parseCommandLine } from '../../core/cli/program.ts';
import { COMMANDS } from '../../core/cli/table.ts';
import { parsePath } from '../../core/config/config-path.ts';
import { setIn } from '../../core/config/edit.ts';
import { loadText } from '../../core/config/load.ts';
import { parseValue } from '../../core/config/parse.ts';
import { resolvePaths } from '../../core/config/paths.ts';
import { ERRORS } from '../../sdk/errors.ts';
import { blocksOf, pages, root } from './markdown.ts';

const blocks = pages().flatMap(blocksOf);
/** Each command line of the pages, as words. `npx`, variables before it and comments behind it are taken off. */
const commands = blocks
  .filter(({ language, page }) => language === 'sh' && !page.startsWith('docs/reference/'))
  .flatMap(({ page, line, text }) => text.split('\n').map((command, at) => ({ place: `${page}:${line + at + 1}`, words: wordsOf(command) })))
  .flatMap(({ place, words }) => {
    const start = words.findIndex((word) => !/^\w+=/.test(word) && word !== 'npx');
    return words[start] === 'durar' ? [{ place, words: words.slice(start + 1) }] : [];
  });
const output = createOutput({ json: false, colour: false, env: {} });

describe('commands of the documentation', () => {
  it('are understood', () => {
    expect(commands.length).toBeGreaterThan(40);
    const wrong = commands.flatMap(({ place, words }) => {
      try {
        parseCommandLine(COMMANDS, words, output);
        return [];
      } catch (error) {
        return [`${place}: ${String(error)}`];
      }
    });
    expect(wrong).toEqual([]);
  });

  it('set values that the configuration takes', async () => {
    for (const { place, words } of commands) {
      const [group, verb, ...rest] = words;
      const [path, text] = rest.filter((word) => !word.startsWith('-'));
      if (group !== 'config' || verb !== 'set' || path === undefined || text === undefined) continue;
      expect(await faults(setIn('{}', parsePath(path), await parseValue(text))), place).toEqual([]);
    }
  });
});

describe('what hints and templates tell to run', () => {
  const readmes = globSync('sdk/templates/*/README.md', { cwd: root }).map((file) => readFileSync(join(root, file), 'utf8'));
  const hints = Object.values(ERRORS).map(({ hint }) => hint);

  it('is understood', () => {
    const lines = [...hints, ...readmes].flatMap((text) =>
      [...text.matchAll(/`durar ([^`]+)`|^durar ([^#\n]+)/gm)].map(([, inline, line]) => inline ?? line ?? ''),
    );
    expect(lines.length).toBeGreaterThan(40);
    const wrong = lines.flatMap((line) => {
      try {
        // `{place}` and `<place>` stand for one word, dots for the rest of one
        parseCommandLine(COMMANDS, wordsOf(line.replaceAll('...', '').replace(/[{<]\w+[}>]/g, 'x')), output);
        return [];
      } catch (error) {
        return [`${line}: ${String(error)}`];
      }
    });
    expect(wrong).toEqual([]);
  });

  it('names only commands that a chat has', () => {
    const chat = readFileSync(join(root, 'core/cli/commands/chat.ts'), 'utf8');
    const slashes = hints.flatMap((text) => text.match(/(?<=^|[\s`])\/[a-z]+\b/gm) ?? []);
    expect(slashes.filter((command) => !chat.includes(`'${command}'`))).toEqual([]);
    expect(slashes).toContain('/new');
  });
});

describe('configuration in the documentation', () => {
  const texts = blocks.filter(
    ({ language, page, text }) => language === 'json5' && !page.startsWith('docs/reference/') && !text.startsWith('// exec-approvals'),
  );

  it.each(texts.map((block) => [`${block.page}:${block.line}`, block.text]))('%s is valid', async (_place, text) => {
    expect(await faults(text)).toEqual([]);
  });
});

async function faults(text: string): Promise<string[]> {
  const env = { Durar_HOME: tmpdir(), ACME_API_KEY: 'x', OPENAI_API_KEY: 'x' };
  const { errors } = await loadText(text, { paths: resolvePaths({ env }), env, cwd: tmpdir() });
  return errors.map(({ message }) => message);
}

/** As a shell would split it; quotes are taken off, a comment ends the line. */
function wordsOf(command: string): string[] {
  const words: string[] = [];
  for (const [, comment, single, double, bare] of command.matchAll(/(?:^|\s)(#.*)|'([^']*)'|"([^"]*)"|([^\s'"]+)/g)) {
    if (comment !== undefined || bare === '|' || bare === '>' || bare === '&&') break;
    const word = single ?? double ?? bare;
    if (word !== undefined) words.push(word);
  }
  return words;
}
