import { isDeepStrictEqual } from 'node:util';
import { type Auth, assertBindable, createAuth } from './auth.ts';
import type { GatewaySettings } from './options.ts';
import { createPeerReader, type PeerReader } from './peer.ts';
import { createTailscale, type TailscaleReader } from './tailscale.ts';

/** The part of the settings that counts for the next connection, without a restart. */
export type AccessSettings = Pick<GatewaySettings, 'auth' | 'controlUi' | 'trustedProxies' | 'allowRealIpFallback'> &
  Partial<Pick<GatewaySettings, 'host' | 'port'>>;

/** What decides about new connections. */
export interface Access {
  readonly settings: GatewaySettings;
  readonly auth: Auth;
  readonly peerOf: PeerReader;
  /** undefined: Tailscale is not asked. */
  readonly tailscale: TailscaleReader | undefined;
  /** Connections stay as they are. Throws like `assertBindable`, and then nothing changes. */
  configure(next: AccessSettings): void;
}

export function createAccess(initial: GatewaySettings): Access {
  const build = (settings: GatewaySettings, auth: Auth) => ({
    settings,
    auth,
    peerOf: createPeerReader(settings),
    tailscale: settings.auth.allowTailscale === true ? createTailscale(settings.auth.tailscaleWhois) : undefined,
  });
  let now = build(initial, createAuth(initial.auth));
  return {
    get settings() {
      return now.settings;
    },
    get auth() {
      return now.auth;
    },
    get peerOf() {
      return now.peerOf;
    },
    get tailscale() {
      return now.tailscale;
    },
    configure({ auth, controlUi, trustedProxies = [], allowRealIpFallback = false, host = now.settings.host, port = now.settings.port }) {
      const settings = { ...now.settings, host, port, auth, controlUi: controlUi ?? {}, trustedProxies, allowRealIpFallback };
      assertBindable(settings);
      // The counted failures stay while what they failed at is the same.
      now = build(settings, isDeepStrictEqual(auth, now.settings.auth) ? now.auth : createAuth(auth));
    },
  };
}
