import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { resolvePaths } from '../config/paths.ts';
import { createSelfSigned } from './self-signed.ts';
import { loadTls, tlsFingerprint, tlsPaths } from './tls.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'durar-tls-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const pathsOf = (dir: string) => resolvePaths({ env: { HOME: dir, Durar_HOME: dir, Durar_STATE_DIR: dir } });

describe('a certificate of our own', () => {
  it('is one that Node reads, names this machine and fits its key', () => {
    const { cert, key } = createSelfSigned({ name: 'host.example', now: new Date('2026-01-02T03:04:05Z') });
    const read = new X509Certificate(cert);
    expect(read.subject).toBe('CN=host.example');
    expect(read.subjectAltName).toBe('DNS:localhost, DNS:host.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
    expect([read.validFromDate.toISOString(), read.validToDate.toISOString()]).toEqual(['2026-01-02T03:04:05.000Z', '2036-01-02T03:04:05.000Z']);
    expect(read.ca).toBe(false);
    expect(read.verify(read.publicKey)).toBe(true);
    expect(read.checkHost('localhost')).toBe('localhost');
    expect(read.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(key).toContain('BEGIN PRIVATE KEY');
    expect(new X509Certificate(createSelfSigned().cert).serialNumber).not.toBe(read.serialNumber);
  });

  it('writes years from 2050 on with four digits', () => {
    const { cert } = createSelfSigned({ name: 'x', now: new Date('2045-06-07T08:09:10Z') });
    expect(new X509Certificate(cert).validToDate.toISOString()).toBe('2055-06-07T08:09:10.000Z');
  });
});

describe('the files of TLS', () => {
  it('are made once, the key for its owner only', async () => {
    const stateDir = folder();
    const first = await loadTls({}, pathsOf(stateDir));
    expect(await loadTls({}, pathsOf(stateDir))).toEqual(first);
    const paths = tlsPaths({}, pathsOf(stateDir));
    expect(statSync(paths.key).mode & 0o777).toBe(0o600);
    rmSync(paths.cert);
    expect((await loadTls({}, pathsOf(stateDir))).key).not.toBe(first.key);
    expect(tlsFingerprint(readFileSync(paths.cert, 'utf8'))).toBe(
      new X509Certificate((await loadTls({}, pathsOf(stateDir))).cert).fingerprint256.replaceAll(':', '').toLowerCase(),
    );
  });

  it('may be given, with the authority beside them', async () => {
    const dir = folder();
    const { cert, key } = createSelfSigned();
    const settings = { certPath: '~/c.pem', keyPath: 'k.pem', caPath: join(dir, 'ca.pem') };
    writeFileSync(join(dir, 'c.pem'), cert);
    writeFileSync(join(dir, 'k.pem'), key);
    await expect(loadTls(settings, pathsOf(dir))).rejects.toMatchObject({ code: 'DUR_GATEWAY_TLS', message: expect.stringContaining('ca.pem') });
    writeFileSync(settings.caPath, cert);
    expect(await loadTls(settings, pathsOf(dir))).toEqual({ cert, key, ca: cert });
  });

  it('say what is wrong with them', async () => {
    const dir = folder();
    const settings = { certPath: join(dir, 'c.pem'), keyPath: join(dir, 'k.pem') };
    const reason = () =>
      loadTls(settings, pathsOf(dir)).then(
        () => 'none',
        (error: Error) => error.message,
      );
    await expect(loadTls({ ...settings, autoGenerate: false }, pathsOf(dir))).rejects.toMatchObject({
      code: 'DUR_GATEWAY_TLS',
      owner: { file: settings.certPath },
    });
    writeFileSync(settings.certPath, createSelfSigned().cert);
    expect(await reason()).toContain(`'${settings.keyPath}' cannot be used: it does not exist`);
    writeFileSync(settings.keyPath, createSelfSigned().key);
    expect(await reason()).toContain('it is not the key of the certificate');
    writeFileSync(settings.keyPath, 'no key');
    expect(await reason()).toContain(`'${settings.keyPath}' cannot be used`);
    writeFileSync(settings.certPath, 'no certificate');
    expect(await reason()).toContain(`'${settings.certPath}' cannot be used`);
  });
});
