import type { Channel, ChannelAccountContext } from '../ports/channel.ts';
import { refuse } from './runtime.ts';

type Adapter = Record<string, unknown>;

/** `startAccount` and `stopAccount` of that line expect a `runtime` to write their lines to. */
export function adaptChannel(channel: Channel, note: (member: string) => void): Channel {
  const { gateway } = channel ?? {};
  if (typeof gateway?.startAccount !== 'function') return channel;
  const withRuntime = (context: ChannelAccountContext) => ({
    ...context,
    runtime: { log: (text: string) => context.log.info(text), error: (text: string) => context.log.error(text), exit: refuse('runtime.exit', note) },
  });
  const { stopAccount } = gateway;
  return Object.create(channel, {
    id: { value: channel.id, enumerable: true },
    gateway: {
      enumerable: true,
      value: {
        ...gateway,
        startAccount: (context: ChannelAccountContext) => gateway.startAccount(withRuntime(context)),
        ...(stopAccount === undefined ? {} : { stopAccount: (context: ChannelAccountContext) => stopAccount.call(gateway, withRuntime(context)) }),
      },
    },
  }) as Channel;
}

/** The parts of a channel of that line as one object. */
export function createChannelPluginBase(parts: Adapter & { id: string; meta?: Adapter }): Adapter {
  return { ...parts, meta: { id: parts.id, ...parts.meta } };
}

/** A channel from its base and the adapters that that line keeps apart. `outbound` may come in two parts. */
export function createChatChannelPlugin(parts: {
  base: Adapter;
  outbound?: { base?: Adapter; attachedResults?: Adapter };
  [adapter: string]: unknown;
}): Adapter {
  const { base, outbound, ...adapters } = parts;
  const plain = outbound?.attachedResults === undefined && outbound?.base === undefined;
  return { ...base, ...adapters, ...(outbound === undefined ? {} : { outbound: plain ? outbound : { ...outbound.base, ...outbound.attachedResults } }) };
}

/** The JSON Schema of a zod schema, or one that takes any object. */
export function buildChannelConfigSchema(schema: { toJSONSchema?(options: object): object } | undefined, options: object = {}): Adapter {
  const json = schema?.toJSONSchema?.({ target: 'draft-07', unrepresentable: 'any' });
  return { schema: json ?? { type: 'object', additionalProperties: true }, ...options };
}
