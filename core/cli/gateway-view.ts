import { type ErrorReport, reportError } from '../../sdk/errors.ts';
import type { Finding, SlotChoice } from '../manifest/catalog.ts';
import type { CommandContext } from './command.ts';
import { type EngineTrouble, findEngineTrouble } from './engine-trouble.ts';
import { openRpc, type Rpc } from './rpc.ts';

/** What serves a slot of a running gateway. */
export interface SlotView {
  key: string;
  owner?: string;
  error?: Pick<Finding, 'message'> & Partial<Finding>;
  /** It is there, and the last turn failed by it. */
  trouble?: EngineTrouble;
}

/** What a running gateway says of itself; everything that `status` and `doctor` show of it. */
export interface GatewayView {
  url: string;
  version: string;
  uptimeMs: number;
  sessions: { count: number };
  slots: Record<string, SlotView>;
  health: { agents: Array<{ agentId: string; isDefault: boolean }>; channelOrder: string[] };
  plugins: Array<{ id: string; enabled: boolean; status: string; reason: string; findings: Finding[] }>;
  findings: Finding[];
  queue?: QueueView;
  /** Why what is on disk now is not live; empty when it is, or when the caller may not know. */
  refused: ErrorReport[];
}

/** How much waits. */
export interface QueueView {
  lanes: Array<{ lane: string; running: number; waiting: number; oldestWaitMs?: number }>;
  sessions: { busy: number; waiting: number; oldestWaitMs?: number };
  queued: number;
  backlog: number;
  inbox: { waiting: number; started: number; dead: number };
  outbox: { pending: number; sending: number; dead: number };
}

interface StatusPayload {
  queue?: QueueView;
  uptimeMs: number;
  sessions: { count: number };
  /** The plan of its generation. */
  slots: Record<string, SlotChoice>;
  /** Its process: `slots` are the occupants it really has. */
  host?: { slots?: Record<string, { key: string; owner?: string; error?: string }>; refused?: ErrorReport[] };
}

/** Asks the gateway; an error report when none answers. */
export async function viewGateway(context: CommandContext): Promise<{ view: GatewayView } | { error: ErrorReport }> {
  try {
    const rpc = await openRpc(context, { readOnly: true });
    try {
      const [status, health, plugins] = (await Promise.all([rpc.call('status', {}), rpc.call('health', {}), rpc.call('plugins.list', {})])) as [
        StatusPayload,
        GatewayView['health'],
        Pick<GatewayView, 'plugins' | 'findings'>,
      ];
      const { uptimeMs, sessions } = status;
      const { findings } = plugins;
      const slots = viewSlots(status, findings);
      await lookForTrouble(rpc, slots);
      return {
        view: {
          url: rpc.url,
          version: rpc.version,
          uptimeMs,
          sessions,
          health,
          plugins: plugins.plugins,
          findings,
          ...(status.queue === undefined ? {} : { queue: status.queue }),
          slots,
          refused: status.host?.refused ?? [],
        },
      };
    } finally {
      rpc.close();
    }
  } catch (error) {
    return { error: reportError(error) };
  }
}

/** A session store that cannot be asked is told about at its own slot. */
async function lookForTrouble(rpc: Rpc, { contextEngine: engine, sessionStore }: Record<string, SlotView>): Promise<void> {
  if (engine?.owner === undefined || engine.error !== undefined || sessionStore?.error !== undefined) return;
  const trouble = await findEngineTrouble(rpc, { key: engine.key, owner: engine.owner });
  if (trouble !== undefined) engine.trouble = trouble;
}

/** An occupant that failed after the plan was made is known by its own word or by its extension's findings. */
function viewSlots({ slots, host }: StatusPayload, findings: readonly Finding[]): Record<string, SlotView> {
  const views = Object.values(slots).map((choice): [string, SlotView] => {
    const { slot, key } = choice;
    if ('failed' in choice) return [slot, { key, error: choice.failed }];
    if ('none' in choice) return [slot, { key }];
    const { owner } = choice;
    const found = findings.find((finding) => finding.level === 'error' && finding.owner.extension === owner);
    const said = host?.slots?.[slot]?.error;
    const error = found ?? (said === undefined ? undefined : { message: said });
    return [slot, error === undefined ? { key, owner } : { key, owner, error }];
  });
  return Object.fromEntries(views);
}
