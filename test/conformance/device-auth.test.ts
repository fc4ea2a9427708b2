import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deviceIdOf, normalizePublicKey, verifyDeviceSignature } from '../../core/gateway/device-key.ts';
import { type DeviceAuthFields, deviceAuthPayloadV2, deviceAuthPayloadV3 } from '../../sdk/protocol/device-auth.ts';
import type { ConnectParams } from '../../sdk/protocol/generated/types.ts';
import { handshakes } from './recording.ts';

interface Vectors {
  seedHex: string;
  publicKeyBase64Url: string;
  deviceId: string;
  cases: Array<{ version: 'v2' | 'v3'; note: string; input: DeviceAuthFields; payload: string; signature: string }>;
}

const vectors = JSON.parse(readFileSync(join(import.meta.dirname, 'frames/40-device-auth-vectors.json'), 'utf8')) as Vectors;
/** PKCS8 of an Ed25519 seed. */
const key = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(vectors.seedHex, 'hex')]),
  format: 'der',
  type: 'pkcs8',
});

describe('device signatures', () => {
  it.each(vectors.cases)('$version, $note: payload and signature byte for byte (PROTO-389, PROTO-391, PROTO-393)', ({ version, input, payload, signature }) => {
    const made = (version === 'v3' ? deviceAuthPayloadV3 : deviceAuthPayloadV2)(input);
    expect(made).toBe(payload);
    expect(sign(null, Buffer.from(made), key).toString('base64url')).toBe(signature);
    expect(verifyDeviceSignature(vectors.publicKeyBase64Url, signature, input)).toBe(true);
    expect(verifyDeviceSignature(vectors.publicKeyBase64Url, signature, { ...input, nonce: 'other' })).toBe(false);
  });

  it('knows a key in all its spellings (PROTO-367, PROTO-387)', () => {
    const raw = vectors.publicKeyBase64Url;
    const standard = `${raw.replace(/-/g, '+').replace(/_/g, '/')}=`;
    const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(raw, 'base64url')]).toString('base64')}\n-----END PUBLIC KEY-----\n`;
    for (const spelling of [raw, standard, ` ${raw} `, pem]) expect(normalizePublicKey(spelling)).toBe(raw);
    for (const broken of ['', 'abc', raw.slice(1), `${raw}AA`, '-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----']) {
      expect(normalizePublicKey(broken)).toBeUndefined();
    }
    expect(deviceIdOf(raw)).toBe(vectors.deviceId);
  });

  it.each(['01', '02'])('accepts the signature that a client of the ecosystem made in recording %s', (number) => {
    const [, sent] = handshakes(number)[0] ?? [];
    const { client, role, scopes, auth, device } = (sent?.frame?.params ?? {}) as unknown as Required<ConnectParams>;
    const fields = {
      deviceId: device.id,
      clientId: client.id,
      clientMode: client.mode,
      role,
      scopes,
      signedAt: device.signedAt,
      token: auth.token ?? null,
      nonce: device.nonce ?? '',
      platform: client.platform,
      deviceFamily: client.deviceFamily ?? null,
    };
    expect(deviceIdOf(device.publicKey)).toBe(device.id);
    expect(verifyDeviceSignature(device.publicKey, device.signature, fields)).toBe(true);
    expect(verifyDeviceSignature(device.publicKey, device.signature, { ...fields, platform: 'other' })).toBe(false);
  });
});
