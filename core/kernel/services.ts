import { durarError, errorText, type Service, type ServiceContext } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import { type Instance, releaseInstance } from './instance.ts';
import { within } from './scope.ts';

const SERVICE_TIMEOUT_MS = 30_000;

/** Keeps the services of the current instances running: sources start last and stop first. */
export interface ServiceRunner {
  /** Stops what left, then starts what came. A service that fails to start is reported; the one it replaced is started again. */
  reconcile(instances: readonly Instance[], onFailure: (instance: Instance, error: unknown) => void): Promise<void>;
  stop(): Promise<void>;
}

export function createServiceRunner(options: { log: Logger; stateDir: string; workspaceDir: string; config(): Record<string, unknown> }): ServiceRunner {
  const running = new Map<Instance, Service[]>();
  /** Those that run or may have to run again. */
  const held = new Set<Instance>();

  function context(instance: Instance): ServiceContext {
    return {
      config: options.config(),
      workspaceDir: options.workspaceDir,
      stateDir: options.stateDir,
      logger: options.log.child(`plugins/${instance.id}`),
      signal: instance.scope.signal,
    };
  }

  async function start(instance: Instance): Promise<void> {
    const started: Service[] = [];
    running.set(instance, started);
    if (!held.has(instance)) instance.holders += 1;
    held.add(instance);
    for (const contribution of instance.draft.contributions) {
      if (contribution.kind !== 'service') continue;
      const service = contribution.value as Service;
      await within(
        SERVICE_TIMEOUT_MS,
        () => service.start(context(instance)),
        () => durarError('DUR_HOOK_TIMEOUT', { id: instance.id, hook: `service ${service.id}`, ms: SERVICE_TIMEOUT_MS }, { owner: { extension: instance.id } }),
      );
      started.push(service);
    }
  }

  async function stop(instance: Instance): Promise<void> {
    const started = running.get(instance);
    if (started === undefined) return;
    running.delete(instance);
    for (const service of started.reverse()) {
      try {
        await within(
          SERVICE_TIMEOUT_MS,
          () => service.stop?.(context(instance)),
          () => new Error(`it did not stop within ${SERVICE_TIMEOUT_MS} ms`),
        );
      } catch (error) {
        options.log.warn(`the service '${service.id}' of '${instance.id}' did not stop cleanly: ${errorText(error)}`, { extension: instance.id });
      }
    }
  }

  async function releaseStopped(): Promise<void> {
    for (const instance of [...held].filter((one) => !running.has(one))) {
      held.delete(instance);
      await releaseInstance(instance, options.log);
    }
  }

  return {
    async reconcile(instances, onFailure) {
      const wanted = new Set(instances.filter((instance) => instance.crashed === undefined));
      const left = [...running.keys()].filter((instance) => !wanted.has(instance));
      for (const instance of left.reverse()) await stop(instance);
      for (const instance of wanted) {
        if (running.has(instance)) continue;
        const former = left.find((other) => other.id === instance.id);
        for (const one of former === undefined ? [instance] : [instance, former]) {
          try {
            await start(one);
            break;
          } catch (error) {
            await stop(one);
            onFailure(instance, error);
          }
        }
      }
      await releaseStopped();
    },
    async stop() {
      for (const instance of [...running.keys()].reverse()) await stop(instance);
      await releaseStopped();
    },
  };
}
