/**
 * The process in which one engine gets a recorded session again. Its first message is the job; turns, the result or a failure go to the parent.
 * It ends itself: what the engine left running is not waited for.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reportError } from '../../../sdk/errors.ts';
import type { ContextEngine, StoredEntry } from '../../../sdk/index.ts';
import { createTokenEstimator } from '../../agent/budget/tokens.ts';
import { replaySession } from '../../agent/shadow/replay.ts';
import { createTrial } from '../../install/trial.ts';
import { silentLogger } from '../../logging/logger.ts';
import { openState } from '../../state/state.ts';
import type { ReplayJob } from './replay-process.ts';

const job = await new Promise<ReplayJob>((resolve) => process.once('message', (message) => resolve(message as ReplayJob)));
// Without a parent nobody reads the result.
process.on('disconnect', () => process.exit(1));
// a call that fails later than it returned is the engine's fault, and the replay goes on
process.on('unhandledRejection', () => undefined);

const send = (message: object) => new Promise<void>((resolve) => process.send?.({ type: 'durar.replay', ...message }, () => resolve()));
const ALIVE_MS = 1_000;
setInterval(() => void send({}), ALIVE_MS);

try {
  const { entry, stateDir, hostVersion, engine: id, pluginConfig, entriesFile } = job;
  const entries = JSON.parse(await readFile(entriesFile, 'utf8')) as StoredEntry[];
  const trial = await createTrial({ entry, stateDir, hostVersion, log: silentLogger, ...(pluginConfig === undefined ? {} : { pluginConfig }) });
  const engine = (await trial.occupant('contextEngine', id)) as ContextEngine;
  const state = openState({ dir: join(stateDir, 'state') });
  const { sessionKey, tokenBudget, model, turns } = job;
  const result = await replaySession({
    ...{ id, owner: entry.id, engine, entries, sessionKey, tokenBudget, model, turns },
    sessionFile: join(stateDir, 'replay.jsonl'),
    cursors: state.cursors,
    estimator: createTokenEstimator(),
    signal: new AbortController().signal,
    onTurn: (turn) => send({ turn }),
  });
  await trial.dispose();
  state.close();
  await send({ result });
} catch (error) {
  await send({ failure: reportError(error) });
}
process.exit(0);
