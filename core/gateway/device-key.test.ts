import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DeviceAuthFields, deviceAuthPayloadV2, deviceAuthPayloadV3, metadataField } from '../../sdk/protocol/device-auth.ts';
import { deviceIdOf, normalizePublicKey, verifyDeviceSignature } from './device-key.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const raw = publicKey.export({ format: 'jwk' }).x ?? '';
const signed = (text: string, key: KeyObject = privateKey) => sign(null, Buffer.from(text), key).toString('base64url');

/** Fields are joined without escaping, so their separators stay out of what is compared field by field. */
const word = fc.string({ unit: 'grapheme' }).filter((text) => !/[|,]/.test(text));
const fields: fc.Arbitrary<DeviceAuthFields> = fc.record({
  deviceId: word,
  clientId: word,
  clientMode: word,
  role: word,
  scopes: fc.array(
    word.filter((scope) => scope !== ''),
    { maxLength: 4 },
  ),
  signedAt: fc.nat(),
  token: fc.option(word, { nil: null }),
  nonce: word,
  platform: fc.option(word, { nil: null }),
  deviceFamily: fc.option(word, { nil: null }),
});

describe('signatures of devices', () => {
  it('pass over exactly what was signed, by either payload (PROTO-389, PROTO-391, PROTO-393)', () => {
    fc.assert(
      fc.property(fields, fc.constantFrom(deviceAuthPayloadV2, deviceAuthPayloadV3), (value, payload) => {
        expect(verifyDeviceSignature(raw, signed(payload(value)), value)).toBe(true);
      }),
    );
  });

  it('fail when any bound field is another (PROTO-392)', () => {
    const names = ['deviceId', 'clientId', 'clientMode', 'role', 'scopes', 'signedAt', 'token', 'nonce', 'platform', 'deviceFamily'] as const;
    fc.assert(
      fc.property(fields, fields, fc.constantFrom(...names), (value, other, name) => {
        const changed = { ...value, [name]: other[name] };
        fc.pre(deviceAuthPayloadV3(changed) !== deviceAuthPayloadV3(value));
        expect(verifyDeviceSignature(raw, signed(deviceAuthPayloadV3(value)), changed)).toBe(false);
      }),
    );
  });

  it('differ in their text whenever a field differs in its meaning', () => {
    const meaning = (value: DeviceAuthFields) =>
      JSON.stringify([
        value.deviceId,
        value.clientId,
        value.clientMode,
        value.role,
        value.scopes,
        value.signedAt,
        value.token ?? '',
        value.nonce,
        metadataField(value.platform),
        metadataField(value.deviceFamily),
      ]);
    fc.assert(
      fc.property(fields, fields, (one, two) => {
        expect(deviceAuthPayloadV3(one) === deviceAuthPayloadV3(two)).toBe(meaning(one) === meaning(two));
      }),
    );
  });

  it('fail when a byte of them is another, or the key, and never throw (PROTO-384)', () => {
    const stranger = generateKeyPairSync('ed25519');
    fc.assert(
      fc.property(fields, fc.nat(63), fc.integer({ min: 1, max: 255 }), (value, at, flip) => {
        const text = deviceAuthPayloadV3(value);
        const bytes = Buffer.from(signed(text), 'base64url');
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        expect(verifyDeviceSignature(raw, bytes.toString('base64url'), value)).toBe(false);
        expect(verifyDeviceSignature(raw, signed(text, stranger.privateKey), value)).toBe(false);
      }),
    );
    const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
    fc.assert(fc.property(anyKey, fc.string(), fields, (key, signature, value) => void expect(verifyDeviceSignature(key, signature, value)).toBe(false)));
  });
});

describe('keys of devices', () => {
  it('have one spelling and one id, however they were sent (PROTO-367, PROTO-385)', () => {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const padded = `${raw}=`;
    for (const text of [raw, padded, padded.replaceAll('-', '+').replaceAll('_', '/'), `  ${raw}\n`, pem]) expect(normalizePublicKey(text)).toBe(raw);
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(bytes, fc.nat(3), (key, spare) => {
        const canonical = Buffer.from(key).toString('base64url');
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
        const last = alphabet[alphabet.indexOf(canonical.at(-1) ?? '') | spare] ?? '';
        expect(normalizePublicKey(canonical.slice(0, -1) + last)).toBe(canonical);
        expect(deviceIdOf(canonical)).toBe(createHash('sha256').update(key).digest('hex'));
      }),
    );
  });

  it('are nothing else (PROTO-387)', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const key = normalizePublicKey(text);
        expect(key === undefined || Buffer.from(key, 'base64url').length === 32).toBe(true);
      }),
    );
    const other = generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const text of [other, '-----BEGIN PUBLIC KEY-----', raw.slice(1), `${raw}AA`]) expect(normalizePublicKey(text)).toBeUndefined();
  });

  it('compare what a device is without regard to ASCII case and outer space, and to nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const field = metadataField(text);
        expect(metadataField(field)).toBe(field);
        expect(field).toBe(metadataField(` ${text}\t`));
        expect(/[A-Z]/.test(field)).toBe(false);
      }),
    );
    expect(metadataField(' ÄpPlE ')).toBe('Äpple');
  });
});
