import { durarError } from '../errors.ts';
import type { DeviceIdentity, StoredToken, TokenStore } from './connect-request.ts';
import type { ClientSocket } from './options.ts';

/** The part of `localStorage` that is used. Whoever can read it can act as this device, so give it no storage that other pages share. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

interface StoredIdentity {
  version: 1;
  publicKey: string;
  /** PKCS #8, base64url */
  privateKey: string;
}

const IDENTITY_KEY = 'durar.identity';
const TOKENS_KEY = 'durar.tokens';
const ALGORITHM = { name: 'Ed25519' };

export function browserSocketFactory(): (url: string) => ClientSocket {
  return (url) => new WebSocket(url) as unknown as ClientSocket;
}

/** This browser's key; made at the first call. Throws `DUR_GATEWAY_INSECURE_PAGE` where the page has no WebCrypto. */
export async function loadBrowserIdentity(storage: KeyValueStorage): Promise<DeviceIdentity> {
  const subtle = (globalThis.crypto as typeof globalThis.crypto | undefined)?.subtle as typeof globalThis.crypto.subtle | undefined;
  if (subtle === undefined) throw durarError('DUR_GATEWAY_INSECURE_PAGE', {});
  const text = storage.getItem(IDENTITY_KEY);
  const stored = text === null ? await createIdentity(subtle) : (JSON.parse(text) as StoredIdentity);
  if (text === null) storage.setItem(IDENTITY_KEY, JSON.stringify(stored));
  const key = await subtle.importKey('pkcs8', fromBase64Url(stored.privateKey), ALGORITHM, false, ['sign']);
  return {
    deviceId: toHex(await subtle.digest('SHA-256', fromBase64Url(stored.publicKey))),
    publicKey: stored.publicKey,
    sign: async (message) => toBase64Url(await subtle.sign(ALGORITHM, key, new TextEncoder().encode(message))),
  };
}

/** The device tokens of one gateway, by its URL. */
export function createBrowserTokenStore(options: { storage: KeyValueStorage; url: string }): TokenStore {
  const { storage, url } = options;
  const key = `${TOKENS_KEY}:${url}`;
  const read = (): Record<string, StoredToken> => JSON.parse(storage.getItem(key) ?? '{}');
  return {
    load: (role) => read()[role],
    save: (role, token) => storage.setItem(key, JSON.stringify({ ...read(), [role]: token })),
    remove(role) {
      const { [role]: _removed, ...rest } = read();
      storage.setItem(key, JSON.stringify(rest));
    },
  };
}

async function createIdentity(subtle: typeof globalThis.crypto.subtle): Promise<StoredIdentity> {
  const pair = await subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  if (!('privateKey' in pair)) throw new TypeError('Ed25519 makes key pairs');
  return {
    version: 1,
    publicKey: toBase64Url(await subtle.exportKey('raw', pair.publicKey)),
    privateKey: toBase64Url(await subtle.exportKey('pkcs8', pair.privateKey)),
  };
}

function toBase64Url(bytes: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
}

function toHex(bytes: ArrayBuffer): string {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
