import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { hostname } from 'node:os';

/** How long it is valid; who pins it has to pin the next one then. */
const YEARS = 10;
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const SUBJECT_KEY_ID = '2.5.29.14';
const SUBJECT_ALT_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_ID = 0x06;
const UTF8_STRING = 0x0c;
const GENERALIZED_TIME = 0x18;
const UTC_TIME = 0x17;
const VERSION_TAG = 0xa0;
const EXTENSIONS_TAG = 0xa3;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

/**
 * A P-256 certificate (RFC 5280, version 3) for this machine, signed by its own key. It has one fixed form, which is written here: a general
 * library would be twenty packages.
 */
export function createSelfSigned(options: { name?: string; now?: Date } = {}): { cert: string; key: string } {
  const { name = hostname(), now = new Date() } = options;
  const { publicKey, privateKey: key } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const until = new Date(now);
  until.setUTCFullYear(now.getUTCFullYear() + YEARS);
  const algorithm = der(SEQUENCE, objectId(ECDSA_WITH_SHA256));
  const subject = der(SEQUENCE, der(SET, der(SEQUENCE, objectId(COMMON_NAME), der(UTF8_STRING, Buffer.from(name)))));
  const serial = randomBytes(16);
  // Positive, and without a leading zero that DER forbids.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const body = der(
    SEQUENCE,
    der(VERSION_TAG, der(INTEGER, Buffer.from([2]))),
    der(INTEGER, serial),
    algorithm,
    subject,
    der(SEQUENCE, time(now), time(until)),
    subject,
    publicKey,
    der(
      EXTENSIONS_TAG,
      der(
        SEQUENCE,
        extension(BASIC_CONSTRAINTS, der(SEQUENCE)),
        extension(SUBJECT_KEY_ID, der(OCTET_STRING, createHash('sha1').update(publicKey).digest())),
        extension(EXTENDED_KEY_USAGE, der(SEQUENCE, objectId(SERVER_AUTH))),
        extension(
          SUBJECT_ALT_NAME,
          der(
            SEQUENCE,
            ...[...new Set(['localhost', name])].map((host) => der(DNS_NAME, Buffer.from(host))),
            der(IP_ADDRESS, Buffer.from([127, 0, 0, 1])),
            der(IP_ADDRESS, Buffer.concat([Buffer.alloc(15), Buffer.from([1])])),
          ),
        ),
      ),
    ),
  );
  const signature = sign('sha256', body, createPrivateKey(key));
  const certificate = der(SEQUENCE, body, algorithm, der(BIT_STRING, Buffer.from([0]), signature));
  return { cert: `-----BEGIN CERTIFICATE-----\n${wrap(certificate.toString('base64'))}-----END CERTIFICATE-----\n`, key };
}

/** Tag, length, content. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function extension(id: string, value: Buffer): Buffer {
  return der(SEQUENCE, objectId(id), der(OCTET_STRING, value));
}

/** The first two arcs share a byte; each further one is written in groups of seven bits. */
function objectId(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = rest.flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(OBJECT_ID, Buffer.from([first * 40 + second, ...bytes]));
}

/** Years from 2050 on need four digits, those before must have two. */
function time(date: Date): Buffer {
  const digits = `${date.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
  return date.getUTCFullYear() < 2050 ? der(UTC_TIME, Buffer.from(digits.slice(2))) : der(GENERALIZED_TIME, Buffer.from(digits));
}

function wrap(base64: string): string {
  return base64.replace(/.{1,64}/g, '$&\n');
}
