/** What this channel uses of irc-framework, which brings no types. */
declare module 'irc-framework' {
  export class Client {
    constructor(options?: object);
    readonly user: { nick: string; username: string; host?: string };
    readonly network: {
      name: string;
      server: string;
      options: Record<string, unknown>;
      cap: { isEnabled(name: string): boolean };
      supports(option: string): unknown;
      isChannelName(name: string): boolean;
      supportsTag(name: string): boolean;
      timeToLocal(serverTime: number): number;
    };
    readonly connection: { end(line?: string | null, failed?: boolean): void };
    requestCap(names: string | readonly string[]): void;
    connect(options: object): void;
    quit(message?: string): void;
    ping(token: string): void;
    changeNick(nick: string): void;
    join(channel: string, key?: string): void;
    raw(...parts: readonly string[]): void;
    say(target: string, text: string, tags?: Record<string, string>): void;
    tagmsg(target: string, tags: Record<string, string>): void;
    ctcpRequest(target: string, type: string, ...parts: string[]): void;
    notice(target: string, text: string): void;
    caseLower(text: string): string;
    caseCompare(one: string, other: string): boolean;
    on(event: string, listener: (event: never) => void): this;
    once(event: string, listener: (event: never) => void): this;
    removeAllListeners(): this;
  }
  const framework: { Client: typeof Client };
  export default framework;
}
