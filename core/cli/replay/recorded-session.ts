import { durarError } from '../../../sdk/errors.ts';
import type { SessionRecord, SessionStore, StoredEntry } from '../../../sdk/index.ts';
import { type RunContextReport, storedReport, tokensOf } from '../../agent/ledger/context-report.ts';
import { createTrial } from '../../install/trial.ts';
import { silentLogger } from '../../logging/logger.ts';
import { canonicalKey, defaultAgentId } from '../../sessions/keys.ts';
import { acquireGatewayLock } from '../../state/lock.ts';
import type { CommandContext } from '../command.ts';
import type { Outlook } from '../planning.ts';
import { openRpc } from '../rpc.ts';
import { findRuntime } from '../runtime.ts';
import { readHostVersion } from '../version.ts';

/** A session as it lies in the store. */
export interface RecordedSession {
  key: string;
  /** All of them, oldest first. */
  entries: StoredEntry[];
  /** Where its last run is known: the model, its window, and what prompt and tools took of it. Tokens. */
  model?: string;
  window?: number;
  overhead: number;
}

const PAGE = 200;

/** Reads a session, from the gateway that runs or else from its store. Nothing is changed. Throws `DUR_SESSION_UNKNOWN`. */
export async function readRecordedSession(context: CommandContext, outlook: Outlook, key: string): Promise<RecordedSession> {
  const { running } = await findRuntime(context.paths);
  return running || context.options.url !== undefined ? fromGateway(context, key) : fromStore(context, outlook, key);
}

async function fromGateway(context: CommandContext, key: string): Promise<RecordedSession> {
  const rpc = await openRpc(context);
  try {
    const entries: StoredEntry[] = [];
    for (;;) {
      const page = (await rpc.call('sessions.entries', { key, fromSeq: (entries.at(-1)?.seq ?? 0) + 1, limit: PAGE })) as {
        key: string;
        entries: StoredEntry[];
        lastSeq: number;
      };
      entries.push(...page.entries);
      if (page.entries.length === 0 || (entries.at(-1)?.seq ?? 0) >= page.lastSeq) {
        const { report } = (await rpc.call('sessions.context', { key })) as { report: RunContextReport };
        return { key: page.key, entries, ...factsOf(report) };
      }
    }
  } finally {
    rpc.close();
  }
}

async function fromStore({ paths }: CommandContext, { plan, loaded }: Outlook, name: string): Promise<RecordedSession> {
  const { config } = loaded;
  const choice = plan.slots.sessionStore;
  if ('failed' in choice) throw durarError('DUR_SLOT_FAILED', { slot: choice.slot, key: choice.key, reason: choice.failed.message, fallback: 'local' });
  const owner = 'owner' in choice ? plan.extensions.get(choice.owner) : undefined;
  if (owner === undefined) throw durarError('DUR_SLOT_EMPTY', { slot: 'sessionStore', key: choice.key });
  const lock = acquireGatewayLock({ dir: paths.stateDbDir });
  try {
    const { entry, config: pluginConfig } = owner;
    const trial = await createTrial({ entry, pluginConfig, stateDir: paths.stateDir, hostVersion: readHostVersion(), log: silentLogger });
    try {
      const store = (await trial.occupant('sessionStore', choice.key)) as SessionStore;
      const key = canonicalKey(name, defaultAgentId(config));
      const session = await store.get({ key });
      if (session === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key });
      return { key, entries: await readAll(store, session), ...factsOf(storedReport(session), session) };
    } finally {
      await trial.dispose();
    }
  } finally {
    lock.release();
  }
}

async function readAll(store: SessionStore, { sessionId }: SessionRecord): Promise<StoredEntry[]> {
  const all: StoredEntry[] = [];
  for (;;) {
    const { entries, lastSeq } = await store.read({ sessionId, fromSeq: (all.at(-1)?.seq ?? 0) + 1, limit: PAGE });
    all.push(...entries);
    if (entries.length === 0 || (all.at(-1)?.seq ?? 0) >= lastSeq) return all;
  }
}

function factsOf(report: RunContextReport | undefined, session?: SessionRecord): Pick<RecordedSession, 'model' | 'window' | 'overhead'> {
  if (report === undefined) return { overhead: 0, ...(session?.contextTokens === undefined ? {} : { window: session.contextTokens }) };
  const { provider, model, contextWindow, systemPrompt, tools } = report;
  return { model: `${provider}/${model}`, window: contextWindow, overhead: systemPrompt.tokens + tokensOf(tools.schemaChars) };
}
