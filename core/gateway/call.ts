import type { MethodTypes } from '../../sdk/protocol/generated/types.ts';
import type { ConnectedClient, Connection } from './connection.ts';

/** What a method knows about its call. */
export interface Call {
  connection: Connection;
  client: ConnectedClient;
  /** Sends an earlier response for the same request. */
  accepted(payload: unknown): void;
}

export type MethodName = keyof MethodTypes;
type Handler<Name extends MethodName> = (params: MethodTypes[Name]['params'], call: Call) => MethodTypes[Name]['result'] | Promise<MethodTypes[Name]['result']>;
/** A family's handlers; a method of the table without its handler does not compile. */
export type MethodFamily<Names extends MethodName> = { [Name in Names]: Handler<Name> };
