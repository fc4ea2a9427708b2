import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { durarError, errorCode, errorText } from '../../sdk/errors.ts';
import { writePrivateFile } from '../../sdk/private-file.ts';
import { configuredPath, type Paths } from '../config/paths.ts';

/** What a TLS listener needs, in PEM. */
export interface TlsFiles {
  cert: string;
  key: string;
  ca?: string;
}

export interface TlsSettings {
  /** Make a self-signed certificate where none is; default true. */
  autoGenerate?: boolean;
  certPath?: string;
  keyPath?: string;
  caPath?: string;
}

/** Where the certificate lies: the configured place, else the state folder. */
export function tlsPaths({ certPath, keyPath, caPath }: TlsSettings, paths: Paths): { cert: string; key: string; ca?: string } {
  const folder = join(paths.stateDir, 'gateway', 'tls');
  return {
    cert: certPath === undefined ? join(folder, 'gateway-cert.pem') : configuredPath(certPath, paths),
    key: keyPath === undefined ? join(folder, 'gateway-key.pem') : configuredPath(keyPath, paths),
    ...(caPath === undefined ? {} : { ca: configuredPath(caPath, paths) }),
  };
}

/** Reads certificate and key; makes both at the first start. Throws `DUR_GATEWAY_TLS`. */
export async function loadTls(settings: TlsSettings, paths: Paths): Promise<TlsFiles> {
  const files = tlsPaths(settings, paths);
  let [cert, key] = await Promise.all([readPem(files.cert), readPem(files.key)]);
  // Half a pair of our own is what an interrupted first start left; half a pair of the operator's is a mistake.
  const isOurs = settings.certPath === undefined && settings.keyPath === undefined;
  const isMissing = isOurs ? cert === undefined || key === undefined : cert === undefined && key === undefined;
  if (isMissing && settings.autoGenerate !== false) ({ cert, key } = await generate(files));
  if (cert === undefined || key === undefined) {
    const file = cert === undefined ? files.cert : files.key;
    throw durarError('DUR_GATEWAY_TLS', { file, reason: 'it does not exist' }, { owner: { file } });
  }
  checkPair(cert, key, files);
  if (settings.caPath === undefined) return { cert, key };
  const file = configuredPath(settings.caPath, paths);
  const ca = await readPem(file);
  if (ca === undefined) throw durarError('DUR_GATEWAY_TLS', { file, reason: 'it does not exist' }, { owner: { file } });
  return { cert, key, ca };
}

/** Lower-case hex SHA-256 of the certificate: what clients pin. */
export function tlsFingerprint(cert: string): string {
  return createHash('sha256').update(new X509Certificate(cert).raw).digest('hex');
}

async function generate(paths: { cert: string; key: string }): Promise<{ cert: string; key: string }> {
  const { createSelfSigned } = await import('./self-signed.ts');
  const made = createSelfSigned();
  await write(paths.key, made.key);
  await write(paths.cert, made.cert);
  return made;
}

function checkPair(cert: string, key: string, paths: { cert: string; key: string }): void {
  const fail = (file: string, reason: string, cause?: unknown) => durarError('DUR_GATEWAY_TLS', { file, reason }, { owner: { file }, cause });
  const read = <Content>(file: string, parse: () => Content): Content => {
    try {
      return parse();
    } catch (error) {
      throw fail(file, errorText(error), error);
    }
  };
  const certificate = read(paths.cert, () => new X509Certificate(cert));
  const privateKey = read(paths.key, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) throw fail(paths.key, 'it is not the key of the certificate');
}

async function readPem(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw durarError('DUR_GATEWAY_TLS', { file, reason: errorText(error) }, { owner: { file }, cause: error });
  }
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writePrivateFile(file, text);
  } catch (error) {
    throw durarError('DUR_GATEWAY_TLS', { file, reason: errorText(error) }, { owner: { file }, cause: error });
  }
}
