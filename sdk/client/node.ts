import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { durarError, errorCode } from '../errors.ts';
import type { ClientSocket, DeviceIdentity, StoredToken, TokenStore } from './client.ts';

interface IdentityFile {
  version: 1;
  deviceId: string;
  publicKeyPem: string;
  privateKeyPem: string;
  createdAtMs: number;
}

interface TokenFile {
  version: 1;
  deviceId: string;
  tokens: Record<string, StoredToken & { role: string; updatedAtMs: number }>;
}

export interface SocketFactoryOptions {
  /** Let credentials travel over plain `ws://` to another machine. */
  allowPlaintext?: boolean;
  /** SHA-256 of the gateway's certificate, in hex. No other certificate is accepted then, whoever signed it. */
  tlsFingerprint?: string;
}

/** Opens sockets by the `ws` library, which is loaded at the first call. Throws `DUR_GATEWAY_PLAINTEXT`, `DUR_GATEWAY_TLS_PIN`, `DUR_GATEWAY_UNREACHABLE`. */
export function nodeSocketFactory(options: SocketFactoryOptions = {}): (url: string) => Promise<ClientSocket> {
  return async (url) => {
    const { tlsFingerprint } = options;
    const isPlain = new URL(url).protocol === 'ws:';
    if (isPlain && (tlsFingerprint !== undefined || (options.allowPlaintext !== true && !isTrustedUrl(url))))
      throw durarError('DUR_GATEWAY_PLAINTEXT', { url });
    const { WebSocket } = await import('ws');
    const base = { perMessageDeflate: false };
    if (tlsFingerprint === undefined) return new WebSocket(url, base) as unknown as ClientSocket;
    const { connectPinned } = await import('./pinned-tls.ts');
    const socket = await connectPinned(url, tlsFingerprint).catch((error: unknown) => {
      throw errorCode(error) === 'DUR_GATEWAY_TLS_PIN' ? error : durarError('DUR_GATEWAY_UNREACHABLE', { url }, { cause: error });
    });
    return new WebSocket(url, { ...base, createConnection: () => socket }) as unknown as ClientSocket;
  };
}

/** TLS, or this machine. */
export function isTrustedUrl(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'wss:' || hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** The device's key from `<stateDir>/identity/device.json`; made at the first call. Throws `DUR_IDENTITY_FILE`. */
export function loadIdentity(options: { stateDir: string }): DeviceIdentity {
  const file = join(options.stateDir, 'identity', 'device.json');
  const present = readJson<IdentityFile>(file) ?? createIdentity(file);
  const publicKey = rawPublicKey(readKey(file, () => createPublicKey(present.publicKeyPem)));
  const privateKey = readKey(file, () => createPrivateKey(present.privateKeyPem));
  return {
    deviceId: fingerprint(publicKey),
    publicKey,
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString('base64url'),
  };
}

/** The device tokens in `<stateDir>/identity/device-auth.json`. Those of another device are not used. */
export function createTokenStore(options: { stateDir: string; deviceId: string }): TokenStore {
  const file = join(options.stateDir, 'identity', 'device-auth.json');
  const read = (): TokenFile => {
    const present = readJson<TokenFile>(file);
    return present?.deviceId === options.deviceId ? present : { version: 1, deviceId: options.deviceId, tokens: {} };
  };
  return {
    load(role) {
      const entry = read().tokens[role];
      return entry === undefined ? undefined : { token: entry.token, scopes: entry.scopes };
    },
    save(role, { token, scopes }) {
      const present = read();
      const before = present.tokens[role];
      if (before?.token === token && before.scopes.join() === scopes.join()) return;
      writeJson(file, { ...present, tokens: { ...present.tokens, [role]: { token, role, scopes, updatedAtMs: Date.now() } } });
    },
    remove(role) {
      const { [role]: removed, ...tokens } = read().tokens;
      if (removed !== undefined) writeJson(file, { version: 1, deviceId: options.deviceId, tokens });
    },
  };
}

function createIdentity(file: string): IdentityFile {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const identity: IdentityFile = {
    version: 1,
    deviceId: fingerprint(rawPublicKey(publicKey)),
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    createdAtMs: Date.now(),
  };
  writeJson(file, identity);
  return identity;
}

function rawPublicKey(key: KeyObject): string {
  return key.export({ format: 'jwk' }).x ?? '';
}

function fingerprint(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex');
}

function readKey(file: string, make: () => KeyObject): KeyObject {
  try {
    return make();
  } catch (error) {
    throw durarError('DUR_IDENTITY_FILE', { file }, { owner: { file }, cause: error });
  }
}

function readJson<Content>(file: string): Content | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Content;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw durarError('DUR_IDENTITY_FILE', { file }, { owner: { file }, cause: error });
  }
}

/** Whole or not at all, readable by the owner only. */
function writeJson(file: string, content: object): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const staged = `${file}.${process.pid}.tmp`;
  try {
    const handle = openSync(staged, 'w', 0o600);
    try {
      writeSync(handle, `${JSON.stringify(content, null, 2)}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(staged, file);
  } catch (error) {
    rmSync(staged, { force: true });
    throw error;
  }
}
