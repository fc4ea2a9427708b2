import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: 'Durar/plugin-sdk/core', replacement: here('./sdk/index.ts') },
      { find: 'Durar/plugin-sdk/plugin-entry', replacement: here('./sdk/entry.ts') },
      { find: 'Durar/plugin-sdk/testing', replacement: here('./core/testing/index.ts') },
      { find: /^Durar\/plugin-sdk\/(.+)$/, replacement: here('./sdk/$1.ts') },
    ],
  },
  test: {
    include: ['{core,sdk,extensions,test}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**', 'test/fixtures/**', '**/templates/**'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: 'forks',
    maxWorkers: 2,
    isolate: true,
  },
});
