import { EventEmitter } from 'node:events';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { IrcError } from './failure.ts';

export interface TransportOptions {
  host: string;
  port: number;
  tls: boolean;
  /** PEM; trusted in place of the authorities of the system */
  ca?: string;
  /** SHA-256 of the server's certificate in hexadecimal; it alone is trusted then. */
  fingerprint?: string;
}

/** bytes; the longest line with tags that the specifications allow is 8,703 */
const LONGEST_LINE = 16_384;
const LINE_BREAK = 0x0a;

/**
 * The socket below the library: bytes to lines and back. In place of the library's own, which trusts no certificate authority but the
 * system's, keeps what comes without a line break for ever and lets a malformed line fall through to the process.
 */
export class LineTransport extends EventEmitter {
  readonly #options: TransportOptions;
  #socket: Socket | undefined;
  #isOpen = false;
  #error: unknown;
  /** What came since the last line break. */
  #rest: Buffer[] = [];
  #restLength = 0;
  #isSkipping = false;

  constructor(options: TransportOptions) {
    super();
    this.#options = options;
  }

  connect(): void {
    const { host, port, tls, ca, fingerprint } = this.#options;
    const socket = tls
      ? connectTls({
          host,
          port,
          ...(isIP(host) === 0 ? { servername: host } : {}),
          ...(ca === undefined ? {} : { ca: [ca] }),
          // a pinned certificate is compared below, before a byte is sent
          rejectUnauthorized: fingerprint === undefined,
        })
      : connectPlain({ host, port });
    this.#socket = socket;
    socket.setKeepAlive(true, 60_000);
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      const shown = fingerprint === undefined || !tls ? undefined : ((socket as TLSSocket).getPeerX509Certificate()?.fingerprint256 ?? 'none');
      if (fingerprint !== undefined && shown !== undefined && plainHex(shown) !== plainHex(fingerprint)) {
        this.#fail(
          new IrcError('IRC_FINGERPRINT', `the certificate of ${host}:${port} has another fingerprint (${shown})`, {
            hint: 'Ask the operators of the network whether they changed it; only then set channels.irc.tlsFingerprint to the new one.',
          }),
        );
        return;
      }
      this.#isOpen = true;
      this.emit('open');
    });
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.once('close', () => {
      this.#isOpen = false;
      this.emit('close', this.#error ?? false);
    });
  }

  /** Writes one line. What could end it is taken out, wherever it came from. */
  writeLine(line: string, written?: () => void): void {
    if (this.#socket === undefined || !this.#isOpen) {
      if (written !== undefined) process.nextTick(written);
      return;
    }
    this.#socket.write(`${line.replace(LINE_ENDS, ' ')}\r\n`, () => written?.());
  }

  close(isForced = false): void {
    if (isForced || !this.#isOpen) this.#socket?.destroy();
    else this.#socket?.end();
  }

  disposeSocket(): void {
    this.#socket?.destroy();
  }

  /** Asked by the library; text is UTF-8 here. */
  setEncoding(encoding: string): boolean {
    return encoding === 'utf8';
  }

  #take(bytes: Buffer): void {
    let from = 0;
    while (!this.#socket?.destroyed) {
      const end = bytes.indexOf(LINE_BREAK, from);
      const piece = bytes.subarray(from, end < 0 ? bytes.length : end);
      if (this.#restLength + piece.length > LONGEST_LINE) this.#isSkipping = true;
      else this.#rest.push(piece);
      this.#restLength = this.#isSkipping ? 0 : this.#restLength + piece.length;
      if (end < 0) return;
      const line = this.#isSkipping ? undefined : decode(Buffer.concat(this.#rest));
      this.#rest = [];
      this.#restLength = 0;
      this.#isSkipping = false;
      from = end + 1;
      if (line !== undefined) this.#tell(line);
    }
  }

  #tell(line: string): void {
    try {
      this.emit('line', line);
    } catch (error) {
      this.#fail(
        new IrcError('IRC_PROTOCOL', `the server sent what cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
          retryable: true,
          hint: 'Check that channels.irc.host and port name an IRC server.',
        }),
      );
    }
  }

  #fail(error: IrcError): void {
    this.#error = error;
    this.#socket?.destroy();
  }
}

const LINE_ENDS = /[\r\n\0]+/g;

const strict = new TextDecoder('utf-8', { fatal: true });
const western = new TextDecoder('windows-1252');

/** UTF-8; a line that is none comes from an old client. */
function decode(line: Buffer): string {
  try {
    return strict.decode(line);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return western.decode(line);
  }
}

function plainHex(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}
