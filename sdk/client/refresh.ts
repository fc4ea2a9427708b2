import { errorCode } from '../errors.ts';
import type { MethodTypes, PresenceEntry } from '../protocol/generated/types.ts';

/** What a client reads again when it may have missed events. */
export interface GatewayState {
  health: MethodTypes['health']['result'];
  /** absent where the gateway does not offer it, or the client may not ask */
  presence?: PresenceEntry[];
}

export interface Refresh {
  now(): Promise<GatewayState>;
  /** After a gap: several in a row lead to one. */
  soon(): void;
  cancel(): void;
}

const PAUSE_MS = 1000;

export function createRefresh(options: {
  request(method: string): Promise<unknown>;
  offers(method: string): boolean;
  onRefresh: ((state: GatewayState) => void) | undefined;
}): Refresh {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastAt = Number.NEGATIVE_INFINITY;

  const now = async (): Promise<GatewayState> => {
    lastAt = Date.now();
    const [health, presence] = await Promise.all([
      options.request('health') as Promise<GatewayState['health']>,
      options.offers('system-presence') ? options.request('system-presence').catch(absentWhenRefused) : undefined,
    ]);
    return { health, ...(presence === undefined ? {} : { presence: presence as PresenceEntry[] }) };
  };

  return {
    now,
    soon() {
      const { onRefresh } = options;
      if (onRefresh === undefined || timer !== undefined) return;
      timer = setTimeout(
        () => {
          timer = undefined;
          now().then(onRefresh, ignoreLost);
        },
        Math.max(0, lastAt + PAUSE_MS - Date.now()),
      );
    },
    cancel() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

/** Without `operator.read` nobody may ask who is present. */
function absentWhenRefused(error: unknown): undefined {
  if (errorCode(error) !== 'DUR_GATEWAY_RPC') throw error;
}

/** The connection was lost meanwhile, and the client refreshes when it is back; or the gateway cannot tell, which `health` events will change. */
function ignoreLost(error: unknown): void {
  if (errorCode(error)?.startsWith('DUR_GATEWAY_') !== true) throw error;
}
