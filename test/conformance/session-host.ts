/** A real gateway over real runs, sessions and a store on disk; only the model is a script. */
import type { GatewayOptions } from '../../core/gateway/options.ts';
import type { Generation, GenerationSource } from '../../core/kernel/generation.ts';
import { type AgentHost, createAgentHost, type HostParts } from '../agent-host.ts';
import { type ConnectSpec, connect, type Socket, startGateway } from './harness.ts';

export interface SessionHost {
  host: AgentHost;
  url: string;
  dial(spec?: ConnectSpec): Promise<Socket>;
}

export async function startSessionHost(parts: HostParts = {}, rooms: Partial<GatewayOptions> = {}): Promise<SessionHost> {
  const host = await createAgentHost(parts);
  const { url } = await startGateway({ rooms: { agent: host.agent, sessions: host.sessions, source: withPlan(host.source), ...rooms } });
  return { host, url, dial: (spec) => connect(url, spec) };
}

/** The generation of the agent host knows no slots. */
function withPlan(source: GenerationSource): GenerationSource {
  const whole = (generation: Generation): Generation => {
    const slots = { sessionStore: { slot: 'sessionStore', key: 'local', owner: 'local' } };
    return Object.assign(Object.create(generation), { plan: { ...generation.plan, owners: new Map(), findings: [], slots } });
  };
  return { ...source, current: () => whole(source.current()) };
}

/** The payload of an answer. Throws the error of a refusal. */
export async function ask<Payload = Record<string, unknown>>(socket: Socket, method: string, params: object = {}): Promise<Payload> {
  const answer = await socket.call(method, params);
  if (answer.ok !== true) throw new Error(`${answer.error?.code}: ${answer.error?.message}`);
  return answer.payload as Payload;
}

export async function refusal(socket: Socket, method: string, params: object = {}): Promise<string> {
  const answer = await socket.call(method, params);
  if (answer.ok === true) throw new Error(`${method} was not refused`);
  return String(answer.error?.message);
}

/** Waits until the run is over, its last event sent. */
export async function finished(socket: Socket, runId: string): Promise<void> {
  await ask(socket, 'agent.wait', { runId });
  await ask(socket, 'health');
}
