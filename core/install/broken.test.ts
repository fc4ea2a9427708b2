import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import cases from '../../test/cases/install/broken.json' with { type: 'json' };
import { type Files, writeFiles } from '../../test/fixtures/registry.ts';
import { silentLogger } from '../logging/logger.ts';
import { createInstaller } from './installer.ts';

interface Case {
  name: string;
  files?: Files;
  manifest?: Record<string, unknown>;
  entry?: string;
  /** The code of the install. */
  code?: string;
  /** The code of the check that failed, and where. */
  inner?: string;
  says?: string;
  step?: string;
}

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durar-broken-'));
});
afterAll(() => rm(dir, { recursive: true }));

describe.concurrent('an install is refused and leaves nothing behind (CARD-031)', () => {
  for (const [index, { name, files, manifest, entry, code, inner, says, step }] of (cases as Case[]).entries()) {
    it(name, async ({ expect }) => {
      const stateDir = join(dir, `state-${index}`);
      const pluginsDir = join(stateDir, 'extensions');
      const root = join(dir, `source-${index}`);
      await writeFiles(
        root,
        files ?? { 'Durar.plugin.json': { id: 'broken', configSchema: {}, ...manifest }, 'package.json': { type: 'module' }, 'index.js': entry ?? '' },
      );
      const installer = createInstaller({
        paths: { stateDir, pluginsDir },
        env: process.env,
        hostVersion: '2026.11.0',
        bundledIds: [],
        log: silentLogger,
        // Only what never answers waits this long.
        verifyTimeoutMs: 4_000,
      });
      const error = await installer.install(root).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: code ?? 'DUR_INSTALL_VERIFY', hint: expect.stringMatching(/\S/) });
      if (code === undefined) {
        const { checks } = (error as { details: { checks: Array<{ id: string; status: string; code?: string; message: string }> } }).details;
        const failed = checks.find((check) => check.status === 'fail');
        expect(failed).toMatchObject({ id: step, ...(inner === undefined ? {} : { code: inner }), message: expect.stringContaining(says ?? '') });
      }
      expect(await installer.records()).toEqual({});
      expect(await readdir(pluginsDir, { recursive: true })).toEqual(['.staging']);
    });
  }
});

it('the table has every kind of break once', () => {
  const names = (cases as Case[]).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
