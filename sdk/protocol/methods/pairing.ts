import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional, text } from '../define.ts';

const person = { channel: Type.String(), accountId: Type.String(), senderId: Type.String(), senderName: optional(Type.String()) };

/** Somebody who wrote to a channel and waits to be let in. */
const SenderPairingRequest = open(
  { ...person, conversationId: Type.String(), code: Type.String(), createdAt: Type.Number(), expiresAt: Type.Number() },
  'SenderPairingRequest',
);
const PairedSender = open({ ...person, approvedAt: Type.Number() }, 'PairedSender');

const filter = { channel: optional(text()), accountId: optional(text()) };

export const PAIRING_METHODS = defineMethods({
  'channels.pairing.list': {
    scope: 'operator.pairing',
    params: closed(filter),
    result: open({ pending: Type.Array(SenderPairingRequest), paired: Type.Array(PairedSender) }),
  },
  'channels.pairing.approve': {
    scope: 'operator.pairing',
    params: closed({ ...filter, code: text(), notify: optional(Type.Boolean()) }),
    /** `notified`: whether the person could be told; absent when that was not asked for. */
    result: open({ paired: PairedSender, notified: optional(Type.Boolean()), reason: optional(Type.String()) }),
  },
  'channels.pairing.reject': {
    scope: 'operator.pairing',
    params: closed({ ...filter, code: text() }),
    result: open(person),
  },
  'channels.pairing.revoke': {
    scope: 'operator.pairing',
    params: closed({ channel: text(), accountId: optional(text()), senderId: text() }),
    result: open({ revoked: Type.Array(PairedSender) }),
  },
});
