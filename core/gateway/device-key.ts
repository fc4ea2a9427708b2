import { createHash, createPublicKey, verify } from 'node:crypto';
import { type DeviceAuthFields, deviceAuthPayloadV2, deviceAuthPayloadV3 } from '../../sdk/protocol/device-auth.ts';

/** base64url of the raw 32 bytes, from that form, its padded or plain base64 forms, or a PEM. undefined: not such a key. */
export function normalizePublicKey(text: string): string | undefined {
  if (text.includes('BEGIN')) {
    try {
      const key = createPublicKey(text);
      return key.asymmetricKeyType === 'ed25519' ? key.export({ format: 'jwk' }).x : undefined;
    } catch {
      // Whatever is wrong with the PEM, it is no key.
      return undefined;
    }
  }
  const plain = text.trim().replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  // The last character carries two bits that are no part of the key; written anew, one key has one spelling.
  return /^[\w-]{43}$/.test(plain) ? Buffer.from(plain, 'base64url').toString('base64url') : undefined;
}

/** The id of a key: lower-case hex SHA-256 of its raw bytes. */
export function deviceIdOf(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex');
}

/** True when the signature fits the preferred or the older payload. `publicKey` is normalized. */
export function verifyDeviceSignature(publicKey: string, signature: string, fields: DeviceAuthFields): boolean {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
  const bytes = Buffer.from(signature, 'base64url');
  return [deviceAuthPayloadV3, deviceAuthPayloadV2].some((payload) => verify(null, Buffer.from(payload(fields)), key, bytes));
}
