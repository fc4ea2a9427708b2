import { homedir, userInfo } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { durarError } from '../../sdk/errors.ts';

/** The environment as a plain map; never written to. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where everything of one profile lives. All absolute. */
export interface Paths {
  /** absent: the default profile */
  profile?: string;
  home: string;
  stateDir: string;
  configFile: string;
  /** Databases, locks, records of the host. */
  stateDbDir: string;
  /** Extensions that the operator put there by hand. */
  pluginsDir: string;
  /** Default of `agents.defaults.workspace`. */
  workspaceDir: string;
  /** Default of `gateway.port`; the environment and the configuration come before it. */
  port: number;
}

export interface PathOptions {
  env: Environment;
  /** `--profile`; comes before `Durar_PROFILE`. */
  profile?: string;
  /** `--dev`: the profile `dev`. */
  dev?: boolean;
}

const DEFAULT_PORT = 18_789;
const DEV_PORT = 19_001;

export function resolvePaths({ env, profile, dev }: PathOptions): Paths {
  const name = profileName(profile ?? (dev ? 'dev' : env.Durar_PROFILE));
  // an empty HOME is none, or the state would land wherever the command runs
  const osHome = homedir() || userInfo().homedir;
  const home = env.Durar_HOME ? expandHome(env.Durar_HOME, osHome) : osHome;
  const stateDir = env.Durar_STATE_DIR ? expandHome(env.Durar_STATE_DIR, home) : join(home, name === undefined ? '.Durar' : `.Durar-${name}`);
  return {
    ...(name === undefined ? {} : { profile: name }),
    home,
    stateDir,
    configFile: env.Durar_CONFIG_PATH ? expandHome(env.Durar_CONFIG_PATH, home) : join(stateDir, 'Durar.json'),
    stateDbDir: join(stateDir, 'state'),
    pluginsDir: join(stateDir, 'extensions'),
    workspaceDir: join(stateDir, name === undefined ? 'workspace' : `workspace-${name}`),
    port: name === 'dev' ? DEV_PORT : DEFAULT_PORT,
  };
}

/** Makes a path of the configuration or the command line absolute: `~` is the home of the paths, else it is relative to `from`. */
export function expandHome(path: string, home: string, from: string = process.cwd()): string {
  if (path === '~') return home;
  if (path.startsWith('~/') || path.startsWith('~\\')) return join(home, path.slice(2));
  return isAbsolute(path) ? path : resolve(from, path);
}

/** Like `expandHome`, but `~/.Durar` means this profile's state folder, and the rest is relative to the configuration file. */
export function configuredPath(path: string, paths: Paths): string {
  const match = /^~[/\\]\.Durar(?:[/\\](.*))?$/s.exec(path);
  if (match !== null) return join(paths.stateDir, match[1] ?? '');
  return expandHome(path, paths.home, dirname(paths.configFile));
}

function profileName(name: string | undefined): string | undefined {
  if (name === undefined || name === '' || name === 'default') return undefined;
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) return name;
  throw durarError('DUR_CONFIG_PROFILE', { name });
}
