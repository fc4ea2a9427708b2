import { errorText } from 'Durar/plugin-sdk/core';
import type { APIGatewayBotInfo, GatewayDispatchPayload } from 'discord.js';
import type { Bot } from './bot.ts';
import { closeFailure, DiscordError } from './failure.ts';
import { type GatewaySession, isSocketUrl, type SessionInfo } from './gateway-session.ts';
import { loadGateway } from './library.ts';

export interface ConnectionOptions {
  bot: Bot;
  session: GatewaySession;
  signal: AbortSignal;
  log: { debug(text: string): void; warn(text: string): void };
  /** Told of each event that was not seen before, in order; `done` is called when it is dealt with. */
  onEvent(payload: GatewayDispatchPayload, done: () => void): void;
  onState(state: { connected: boolean; lastProblem?: string }): void;
  onAlive(): void;
}

/** Attempts in a row that come to no session, before the account is given up for the host to start again. */
const MOST_FAILURES = 3;
const STEP_MS = 8_000;
const CLOSE_MS = 2_000;
/** Closes the socket and leaves the session as it is; 1000 would end it. */
const CLOSE_AND_KEEP = 4200;
/** The close code of a connection that broke, or never was. */
const BROKEN = 1006;

const INTENTS = { guilds: 1 << 0, guildMessages: 1 << 9, guildReactions: 1 << 10, directMessages: 1 << 12, directReactions: 1 << 13, messageContent: 1 << 15 };

/** How far a shard is: without a socket, with one that nobody has answered yet, greeted, in its session. */
type Phase = 'none' | 'connecting' | 'greeted' | 'ready';

/**
 * Keeps the bot connected until the signal is aborted; identifying, heartbeats, reconnecting and resuming are the library's. Rejects when
 * Discord will not have the bot, or cannot be reached any more; the session can be resumed by the next call.
 */
export async function keepConnected({ bot, session, signal, log, onEvent, onState, onAlive }: ConnectionOptions): Promise<void> {
  const { account, api, token } = bot;
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => undefined);
  const ended = Promise.withResolvers<void>();
  const phases = new Map<number, Phase>();
  let settled: (() => void) | undefined;
  let isClosing = false;
  let isClosed = false;
  /** Whether Discord itself can have ended the session of a shard: not while it is out of reach. */
  const mayForget = new Set<number>();
  let failures = 0;

  const info = await api.call<APIGatewayBotInfo>('GET', '/gateway/bot', { signal });
  const gateway = account.gatewayUrl === undefined ? info : { ...info, url: account.gatewayUrl };
  if (!isSocketUrl(gateway.url)) throw startFailure(new Error(`'${gateway.url}' is no address of a gateway`), token);
  const { WebSocketManager } = loadGateway();
  const manager = new WebSocketManager({
    token,
    intents: intentsOf(account.hasContentIntent),
    rest: { get: async () => gateway } as never,
    shardCount: null,
    version: '10',
    compression: null,
    handshakeTimeout: STEP_MS,
    helloTimeout: STEP_MS,
    readyTimeout: STEP_MS,
    retrieveSessionInfo(shardId) {
      // the library is about to connect; it has no way to be told not to
      if (isClosed || (isClosing && phase(shardId) === 'none')) return new Promise<null>(() => undefined);
      if (phase(shardId) === 'none') phases.set(shardId, 'connecting');
      return session.info(shardId);
    },
    updateSessionInfo(shardId, next) {
      if (next === null) {
        if (mayForget.has(shardId) && !isClosing) session.begin(shardId, null);
        return;
      }
      const resumeURL = account.gatewayUrl ?? (isSocketUrl(next.resumeURL) ? next.resumeURL : gateway.url);
      session.begin(shardId, { ...next, resumeURL } satisfies SessionInfo);
    },
  });

  function phase(shardId: number): Phase {
    return phases.get(shardId) ?? 'none';
  }

  function enter(shardId: number, next: Phase): void {
    phases.set(shardId, next);
    settled?.();
  }

  manager.on('hello', ({ shardId }) => {
    enter(shardId, 'greeted');
    mayForget.add(shardId);
    onAlive();
  });
  manager.on('closed', ({ code, shardId }) => {
    const before = phase(shardId);
    enter(shardId, 'none');
    if (code === BROKEN) mayForget.delete(shardId);
    else mayForget.add(shardId);
    if (isClosing) return;
    const fatal = closeFailure(code);
    if (fatal !== undefined) return lost.reject(fatal);
    const problem = before === 'connecting' ? 'the gateway cannot be reached' : `the gateway connection ended (${code})`;
    onState({ connected: false, lastProblem: problem });
    log.debug(problem);
    if (before !== 'ready') failures += 1;
    if (failures >= MOST_FAILURES) lost.reject(unreachable());
  });
  const onReady = ({ shardId }: { shardId: number }) => {
    enter(shardId, 'ready');
    failures = 0;
    onState({ connected: true });
  };
  manager.on('ready', onReady);
  manager.on('resumed', onReady);
  manager.on('heartbeat', onAlive);
  manager.on('error', ({ error }) => log.debug(`gateway: ${errorText(error).replaceAll(token, '***')}`));
  manager.on('dispatch', ({ data, shardId }) => {
    onAlive();
    const done = data.t === 'READY' ? () => undefined : session.take(shardId, data.s);
    if (done !== undefined) onEvent(data, done);
  });

  const onAbort = () => ended.resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    // how a connection failed is told by its end, which comes first
    manager.connect().catch((error: unknown) => setImmediate(() => lost.reject(startFailure(error, token))));
    await Promise.race([lost.promise, ended.promise]);
  } finally {
    isClosing = true;
    signal.removeEventListener('abort', onAbort);
    onState({ connected: false });
    await close();
  }

  /** What is half open the library would open again rather than close; it is waited for. */
  async function close(): Promise<void> {
    while ([...phases.values()].some((each) => each === 'connecting' || each === 'greeted')) {
      await new Promise<void>((resolve) => {
        settled = resolve;
      });
    }
    isClosed = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([manager.destroy({ code: CLOSE_AND_KEEP, reason: 'going away' }), late]);
    clearTimeout(timer);
  }
}

function intentsOf(hasContentIntent: boolean): number {
  const { messageContent, ...plain } = INTENTS;
  return Object.values(plain).reduce((all, each) => all | each, hasContentIntent ? messageContent : 0);
}

function unreachable(): DiscordError {
  return new DiscordError('DISCORD_CONNECTION', 'the gateway of Discord cannot be reached, or begins no session', {
    retryable: true,
    hint: 'Check the network and channels.discord.gatewayUrl; the account is started again by itself.',
  });
}

function startFailure(error: unknown, token: string): DiscordError {
  return new DiscordError('DISCORD_GATEWAY', `the gateway connection failed: ${errorText(error).replaceAll(token, '***')}`, {
    retryable: true,
    hint: 'The account is started again by itself.',
  });
}
