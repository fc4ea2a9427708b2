import { mkdir } from 'node:fs/promises';
import { durarError, errorCode, errorText } from '../../../sdk/index.ts';
import { createAgentService } from '../../agent/service.ts';
import { createCredentials } from '../../auth/credentials.ts';
import { createChannels } from '../../channels/accounts.ts';
import { diffConfig } from '../../config/changes.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { Environment, Paths } from '../../config/paths.ts';
import { createGateway } from '../../gateway/server.ts';
import { createSystemEvents } from '../../gateway/system-events.ts';
import { tlsFingerprint } from '../../gateway/tls.ts';
import { createHost, HostFailure } from '../../kernel/host.ts';
import type { Logging } from '../../logging/logging.ts';
import { createWsLog } from '../../logging/ws-log.ts';
import { activateSecrets, createSecretFields } from '../../secrets/activate.ts';
import { createSessionService } from '../../sessions/service.ts';
import { acquireGatewayLock, type GatewayLock } from '../../state/lock.ts';
import { openState } from '../../state/state.ts';
import { assertNoWorse, readOutlook } from '../planning.ts';
import { readHostVersion } from '../version.ts';
import { describeBoot, describeSlots } from './boot-description.ts';
import type { BootReport, GatewayFlags } from './boot-report.ts';
import { installCrashHandlers } from './crash-handlers.ts';
import { removeGatewayAddress, writeGatewayAddress } from './gateway-address.ts';
import { resolveGatewaySettings } from './gateway-settings.ts';
import { createLiveChanges, type LiveChanges } from './live-changes.ts';
import { addressOf, createLiveListener } from './live-listener.ts';
import type { RuntimeRooms } from './plugin-runtime.ts';
import { createReloadGate } from './reload-gate.ts';
import { createStages } from './stages.ts';

/** How long a stop waits for running turns before it aborts them, milliseconds. */
const STOP_LIMIT_MS = 10_000;
const LOCK_TRIES = 5;
const LOCK_PAUSE_MS = 60;

export interface RunGatewayOptions {
  paths: Paths;
  env: Environment;
  flags: GatewayFlags;
  log: Logging;
  /** The configuration where the caller has just read it. */
  loaded?: LoadedConfig;
  print?(report: BootReport): void;
}

export interface RunningGateway {
  url: string;
  stop(reason: string): Promise<void>;
  /** Resolves when the gateway is down, whoever stopped it. */
  closed: Promise<void>;
}

/** Puts the rooms together and brings a gateway up. Throws everything that stops a boot; then nothing is left running. */
export async function runGateway(options: RunGatewayOptions): Promise<RunningGateway> {
  const { paths, env, flags } = options;
  const log = options.log.child('gateway');
  const version = readHostVersion();
  const undo: Array<() => unknown> = [];
  const closed = Promise.withResolvers<void>();
  const rooms: Partial<RuntimeRooms> = {};

  try {
    // first, so that it is undone last: what extensions leave running may throw until the end
    undo.push(installCrashHandlers((error) => rooms.host?.blame(error), log));
    await mkdir(paths.stateDbDir, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
      throw durarError('DUR_STATE_UNWRITABLE', { dir: paths.stateDbDir, reason: errorText(cause) }, { cause });
    });
    const lock = await takeLock(paths.stateDbDir);
    undo.push(() => lock.release());
    const state = openState({ dir: paths.stateDbDir });
    undo.push(() => state.close());
    rooms.state = state;

    const credentials = createCredentials({ paths, log: options.log.child('auth') });
    undo.push(() => credentials.flush());
    const stages = createStages({
      credentials,
      paths,
      env,
      version,
      log: options.log,
      verbose: flags.verbose === true,
      room(name) {
        const room = rooms[name];
        if (room === undefined) throw durarError('DUR_HOST_STARTING', { room: name });
        return room;
      },
      ...(options.loaded === undefined ? {} : { loaded: options.loaded }),
      shown: {
        ...(flags.token === undefined ? {} : { Durar_GATEWAY_TOKEN: flags.token }),
        ...(flags.password === undefined ? {} : { Durar_GATEWAY_PASSWORD: flags.password }),
      },
      mayStart: (mode) => mode === 'local' || flags.allowUnconfigured === true,
    });
    const gate = createReloadGate(stages);
    const host = createHost({ stages: gate.stages, log: options.log.child('kernel'), stateDir: paths.stateDir, workspaceDir: paths.workspaceDir });
    rooms.host = host;
    undo.push(() => host.stop('stop', STOP_LIMIT_MS));
    const sessions = createSessionService({ source: host, log: options.log.child('sessions') });
    const agent = createAgentService({
      source: host,
      sessions,
      paths,
      version,
      env: stages.env,
      credentials,
      cursors: state.cursors,
      shadowTurns: state.shadow,
      subagents: state.subagents,
      inbox: state.inbox,
      outbox: state.outbox,
      replies: (request, result) => channels.replies(request, result),
      kv: state.kv,
      turns: state.turns,
      log: options.log.child('agent'),
      deliver: (message) => channels.post(message),
    });
    // Before the first activation: an extension may listen to their events from `register` on.
    Object.assign(rooms, { sessions, agent });
    await host.activate('boot');
    stages.confirm();
    gate.confirm();
    const systemEvents = createSystemEvents(sessions);
    const channels = createChannels({
      ...{ source: host, sessions, state, events: systemEvents, paths },
      agent: systemEvents.attach(agent),
      log: options.log.child('channels'),
    });
    rooms.channels = channels;

    const { resolvedConfig } = host.current();
    let changes: LiveChanges | undefined;
    const live = (): LiveChanges => {
      if (changes === undefined) throw durarError('DUR_HOST_STARTING', { room: 'reload' }, { hint: 'Try again in a moment.' });
      return changes;
    };
    let slots = await describeSlots(host.current());
    const settings = await resolveGatewaySettings({ config: resolvedConfig, env, flags, paths });
    const gateway = createGateway({
      source: host,
      agent,
      sessions,
      channels,
      pairing: channels.pairing,
      reportChannels: channels.report,
      systemEvents,
      state,
      control: {
        reload: async (options) => live().reload(options),
        stop: (reason) => void stop(reason),
        status: () => ({
          pid: process.pid,
          generation: host.current().number,
          slots,
          refused: changes?.refused() ?? [],
          channels: channels.status(),
          outbox: channels.outbox(),
          stateDir: paths.stateDir,
        }),
        models: () => agent.models.list(),
        config: {
          env,
          isSecret: stages.isSecret,
          live: (loaded) => ({ config: gate.live().config, changes: diffConfig(gate.live().config, loaded.config) }),
          adopt: (candidate, reason, adoptOptions) => live().adopt(candidate, reason, adoptOptions),
          revert: () => live().revert(),
        },
        secrets: { fields: stages.secretFields, diagnostics: stages.secretDiagnostics },
        logs: { file: () => options.log.filePath(), flush: () => options.log.flush() },
      },
      settings,
      paths,
      version,
      log: options.log.child('gateway'),
      wsLog: createWsLog({ log: options.log.child('gateway/ws'), style: flags.wsLog, verbose: flags.verbose }),
    });
    rooms.gateway = gateway;
    // Undone in reverse: the running turns first, then the channels, which send the last replies, then the sockets that watch.
    undo.push(() => gateway.close('gateway stopping'));
    undo.push(() => channels.stop());
    undo.push(() => agent.drain(STOP_LIMIT_MS));
    const { url, port } = await gateway.listen();
    await writeGatewayAddress(paths.stateDbDir, addressOf(url, settings));
    undo.push(() => removeGatewayAddress(paths.stateDbDir));

    await host.start();
    await channels.reconcile();
    host.current().hooks.emit('gateway_start', { port }, {});
    await agent.subagents.start();
    agent.resume();
    const listener = createLiveListener({ gateway, settings, config: resolvedConfig, env, flags, paths, log });
    gate.use(listener);
    changes = await createLiveChanges({
      host,
      stages,
      gate,
      listener,
      channels,
      log,
      async check(candidate) {
        const here = { paths, env };
        const next = await readOutlook(here, { loaded: candidate });
        assertNoWorse(await readOutlook(here, { loaded: gate.live() }), next);
        const source = async (name: string) => (await host.current().contribution('secretsProvider', name))?.value;
        const { errors } = await activateSecrets({ config: candidate.config, source, env: candidate.env, fields: createSecretFields(next.catalog.entries) });
        if (errors.length > 0) throw new HostFailure(errors);
      },
      async onApplied() {
        slots = await describeSlots(host.current());
      },
    });
    undo.push(() => changes?.stop());

    await stages.saveIndex();
    const tls = settings.tls === undefined ? {} : { tlsFingerprint: tlsFingerprint(settings.tls.cert) };
    options.print?.({ ...(await describeBoot({ host, paths, version, url })), ...tls });

    let stopping: Promise<void> | undefined;
    function stop(reason: string): Promise<void> {
      stopping ??= unwind(undo, log).then(() => {
        log.info(`gateway stopped (${reason})`);
        closed.resolve();
      });
      return stopping;
    }
    return { url, stop, closed: closed.promise };
  } catch (error) {
    await unwind(undo, log);
    throw error;
  }
}

/** Takes the lock of the state folder. Commands that look whether a gateway runs hold it for an instant, so one refusal is not the last word. */
async function takeLock(dir: string): Promise<GatewayLock> {
  for (let left = LOCK_TRIES; ; left -= 1) {
    try {
      return acquireGatewayLock({ dir });
    } catch (error) {
      if (left === 1 || errorCode(error) !== 'DUR_STATE_LOCKED') throw error;
      await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MS));
    }
  }
}

/** Undoes in reverse order; one failure does not keep the rest from being undone. */
async function unwind(undo: Array<() => unknown>, log: { warn(text: string): void }): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) {
    try {
      await step();
    } catch (error) {
      log.warn(`a step of the shutdown failed: ${errorText(error)}`);
    }
  }
}
