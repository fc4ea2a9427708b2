import { createHash, randomUUID } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { durarError, errorCode, errorText } from '../errors.ts';
import { writePrivateFile } from '../private-file.ts';
import { ASK, type Ask, SECURITY, type Security } from './policy.ts';

export interface AllowlistEntry {
  /** Glob of the binary's absolute path. */
  pattern: string;
  /** Regular expression that the joined arguments must match as a whole. */
  argPattern?: string;
  [field: string]: unknown;
}

/** What the file says for one agent; absent: it has no opinion. */
export interface HostPolicy {
  security?: Security;
  ask?: Ask;
  askFallback?: Security;
  allowlist: AllowlistEntry[];
}

/** The file as clients see it: the token of its socket is never in it. */
export interface PolicySnapshot {
  path: string;
  exists: boolean;
  /** Hex SHA-256 of the text; of the empty one when there is no file. */
  hash: string;
  file: Record<string, unknown>;
}

type Fields = Record<string, unknown>;

/** `exec-approvals.json`: the host's own policy and what was allowed for good. Read at each use, because people edit it. */
export class ApprovalsFile {
  readonly path: string;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.path = path;
  }

  /** Throws when there is a file that cannot be trusted or understood. */
  async policy(agentId: string): Promise<HostPolicy> {
    return hostPolicy(await this.#read(), agentId);
  }

  /** Adds paths to the agent's allowlist; those that stand there already are left alone. */
  allow(agentId: string, paths: readonly string[]): Promise<void> {
    const next = this.#writing.then(async () => {
      const file = await this.#read();
      const own = agentBlock(file, agentId);
      const list = allowlistOf(own);
      const added = paths
        .map(literal)
        .filter((pattern) => !list.some((entry) => entry.pattern === pattern && entry.argPattern === undefined))
        .map((pattern) => ({ id: randomUUID(), pattern, source: 'allow-always', lastUsedAt: Date.now() }));
      if (added.length === 0) return;
      const others = { ...agents(file) };
      if (agentId === 'main') delete others.default;
      await this.#write({ ...file, version: 1, agents: { ...others, [agentId]: { ...own, allowlist: [...list, ...added] } } });
    });
    this.#writing = next.catch(() => undefined);
    return next;
  }

  async snapshot(): Promise<PolicySnapshot> {
    const text = await this.#text();
    const { socket, ...file } = text === undefined ? { version: 1, agents: {} } : this.#parse(text);
    const { token: _secret, ...shown } = isRecord(socket) ? socket : {};
    return { path: this.path, exists: text !== undefined, hash: hashOf(text), file: socket === undefined ? file : { ...file, socket: shown } };
  }

  /**
   * Writes the whole file if it is still the one that `baseHash` was made of. What it says of the socket and does not know stays. Throws
   * `DUR_EXEC_APPROVALS_BASE`, `DUR_EXEC_APPROVALS_CHANGED`, `DUR_EXEC_APPROVALS_INVALID`.
   */
  replace({ file, baseHash }: { file: Record<string, unknown>; baseHash?: string }): Promise<PolicySnapshot> {
    const next = this.#writing.then(async () => {
      const text = await this.#text();
      if (text !== undefined && baseHash === undefined) throw durarError('DUR_EXEC_APPROVALS_BASE');
      if (baseHash !== undefined && baseHash !== hashOf(text)) throw durarError('DUR_EXEC_APPROVALS_CHANGED');
      try {
        assertPolicy(file);
      } catch (error) {
        throw durarError('DUR_EXEC_APPROVALS_INVALID', { reason: errorText(error) }, { cause: error });
      }
      const { socket: present } = text === undefined ? {} : this.#parse(text);
      const socket = { ...(isRecord(present) ? present : {}), ...(isRecord(file.socket) ? file.socket : {}) };
      await this.#write({ ...file, version: 1, ...(Object.keys(socket).length === 0 ? {} : { socket }) });
      return this.snapshot();
    });
    this.#writing = next.catch(() => undefined);
    return next;
  }

  async #read(): Promise<Fields> {
    const text = await this.#text();
    return text === undefined ? {} : this.#parse(text);
  }

  /** undefined: there is no file. */
  async #text(): Promise<string | undefined> {
    try {
      if (((await stat(this.path)).mode & 0o022) !== 0) throw new Error('others may write to it; run chmod 600 on it');
      return await readFile(this.path, 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw this.#unusable(error);
    }
  }

  #parse(text: string): Fields {
    try {
      const file: unknown = JSON.parse(text);
      if (!isRecord(file)) throw new Error('it is not an object');
      if (file.version !== undefined && file.version !== 1) throw new Error(`its version is ${String(file.version)}, not 1`);
      return file;
    } catch (error) {
      throw this.#unusable(error);
    }
  }

  #unusable(cause: unknown): Error {
    return new Error(`'${this.path}' cannot be used: ${errorText(cause)}`, { cause });
  }

  async #write(file: Fields): Promise<void> {
    await writePrivateFile(this.path, `${JSON.stringify(file, null, 2)}\n`);
  }
}

/** What a policy file says for one agent: its own block over `*`, and that over the defaults. Throws what makes it useless. */
export function hostPolicy(file: Record<string, unknown>, agentId: string): HostPolicy {
  const blocks = [block(file, 'defaults'), block(agents(file), '*'), agentBlock(file, agentId)];
  const merged: Fields = Object.assign({}, ...blocks);
  for (const key of ['security', 'askFallback']) oneOf(merged, key, SECURITY);
  oneOf(merged, 'ask', ASK);
  return {
    ...(merged.security === undefined ? {} : { security: merged.security as Security }),
    ...(merged.ask === undefined ? {} : { ask: merged.ask as Ask }),
    ...(merged.askFallback === undefined ? {} : { askFallback: merged.askFallback as Security }),
    allowlist: blocks.slice(1).flatMap(allowlistOf),
  };
}

function hashOf(text: string | undefined): string {
  return createHash('sha256')
    .update(text ?? '')
    .digest('hex');
}

/** Throws what makes a file useless as a policy. */
function assertPolicy(file: Fields): void {
  if (file.version !== undefined && file.version !== 1) throw new Error(`its version is ${String(file.version)}, not 1`);
  for (const owner of [block(file, 'defaults'), ...Object.keys(agents(file)).map((id) => block(agents(file), id))]) {
    for (const key of ['security', 'askFallback']) oneOf(owner, key, SECURITY);
    oneOf(owner, 'ask', ASK);
    allowlistOf(owner);
  }
}

/** A path as a pattern that matches only itself: characters of globs become `?`. */
function literal(path: string): string {
  return path.replace(/[*?]/g, '?');
}

function agents(file: Fields): Fields {
  return block(file, 'agents');
}

/** `agents.default` is the old name of `agents.main`. */
function agentBlock(file: Fields, agentId: string): Fields {
  const own = block(agents(file), agentId);
  return agentId === 'main' ? { ...block(agents(file), 'default'), ...own } : own;
}

function allowlistOf(owner: Fields): AllowlistEntry[] {
  const { allowlist } = owner;
  if (allowlist === undefined) return [];
  if (!Array.isArray(allowlist)) throw new Error('an allowlist of exec-approvals.json is not a list');
  return allowlist.map((entry: unknown) => {
    const isUsable = isRecord(entry) && typeof entry.pattern === 'string' && (entry.argPattern === undefined || typeof entry.argPattern === 'string');
    if (!isUsable) throw new Error('an allowlist entry of exec-approvals.json has no pattern');
    return entry as AllowlistEntry;
  });
}

function block(owner: Fields, key: string): Fields {
  const value = Object.hasOwn(owner, key) ? owner[key] : undefined;
  if (value === undefined) return {};
  if (!isRecord(value)) throw new Error(`'${key}' of exec-approvals.json is not an object`);
  return value;
}

function oneOf(fields: Fields, key: string, allowed: readonly unknown[]): void {
  if (fields[key] !== undefined && !allowed.includes(fields[key])) throw new Error(`'${key}' of exec-approvals.json is not one of ${allowed.join(', ')}`);
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
