import { ProtocolError } from '../../sdk/protocol/errors.ts';

/** Why a handshake was refused. `closeCode` 1008 unless said otherwise; the reason of the close is the message. */
export class HandshakeRefusal extends ProtocolError {
  readonly closeCode: number;

  constructor(code: 'INVALID_REQUEST' | 'NOT_PAIRED', message: string, details?: unknown, closeCode = 1008) {
    super(code, message, details === undefined ? {} : { details });
    this.closeCode = closeCode;
  }
}
