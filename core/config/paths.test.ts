import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { configuredPath, expandHome, resolvePaths } from './paths.ts';

describe('resolvePaths', () => {
  it('puts everything under ~/.Durar', () => {
    const state = join(homedir(), '.Durar');
    expect(resolvePaths({ env: {} })).toEqual({
      home: homedir(),
      stateDir: state,
      configFile: join(state, 'Durar.json'),
      stateDbDir: join(state, 'state'),
      pluginsDir: join(state, 'extensions'),
      workspaceDir: join(state, 'workspace'),
      port: 18_789,
    });
  });

  it.each([
    ['Durar_HOME', { env: { Durar_HOME: '/h' } }, { home: '/h', stateDir: '/h/.Durar' }],
    ['Durar_STATE_DIR', { env: { Durar_HOME: '/h', Durar_STATE_DIR: '~/s' } }, { home: '/h', stateDir: '/h/s', configFile: '/h/s/Durar.json' }],
    ['Durar_CONFIG_PATH', { env: { Durar_STATE_DIR: '/s', Durar_CONFIG_PATH: '/c/x.json' } }, { stateDir: '/s', configFile: '/c/x.json' }],
    [
      '--profile (AMB-007)',
      { env: { Durar_HOME: '/h' }, profile: 'work' },
      { profile: 'work', stateDir: '/h/.Durar-work', workspaceDir: '/h/.Durar-work/workspace-work', port: 18_789 },
    ],
    ['--dev (AMB-007)', { env: { Durar_HOME: '/h' }, dev: true }, { profile: 'dev', stateDir: '/h/.Durar-dev', port: 19_001 }],
    ['Durar_PROFILE', { env: { Durar_HOME: '/h', Durar_PROFILE: 'p' } }, { stateDir: '/h/.Durar-p' }],
    ['--profile before --dev before Durar_PROFILE', { env: { Durar_HOME: '/h', Durar_PROFILE: 'p' }, profile: 'q', dev: true }, { stateDir: '/h/.Durar-q' }],
    ['the profile "default"', { env: { Durar_HOME: '/h' }, profile: 'default' }, { stateDir: '/h/.Durar' }],
    [
      'no variable of another product',
      { env: { Durar_HOME: '/h', OPENCLAW_STATE_DIR: '/o', OPENCLAW_HOME: '/o', OPENCLAW_CONFIG_PATH: '/o' } },
      { stateDir: '/h/.Durar' },
    ],
  ])('follows %s', (_name, options, expected) => expect(resolvePaths(options)).toMatchObject(expected));

  it.each(['../x', 'a/b', '.', '-x', 'a b'])('refuses the profile name "%s"', (profile) => {
    expect(() => resolvePaths({ env: {}, profile })).toThrow(expect.objectContaining({ code: 'DUR_CONFIG_PROFILE' }));
  });
});

it('expandHome', () => {
  expect(expandHome('~', '/h')).toBe('/h');
  expect(expandHome('~/a', '/h')).toBe('/h/a');
  expect(expandHome('a', '/h', '/from')).toBe('/from/a');
  expect(expandHome('/a', '/h')).toBe('/a');
});

it('configuredPath reads ~/.Durar as the state folder of the profile', () => {
  const paths = resolvePaths({ env: { Durar_HOME: '/h', Durar_STATE_DIR: '/s' } });
  expect(configuredPath('~/.Durar/workspace', paths)).toBe('/s/workspace');
  expect(configuredPath('~/.Durar', paths)).toBe('/s');
  expect(configuredPath('~/other', paths)).toBe('/h/other');
  expect(configuredPath('rel', paths)).toBe('/s/rel');
});

it('an empty HOME does not put the state into the current folder', () => {
  vi.stubEnv('HOME', '');
  try {
    expect(isAbsolute(resolvePaths({ env: {} }).stateDir)).toBe(true);
    expect(isAbsolute(resolvePaths({ env: { Durar_HOME: '~/x' } }).stateDir)).toBe(true);
  } finally {
    vi.unstubAllEnvs();
  }
});
