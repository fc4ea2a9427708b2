import {
  emptyUsage,
  type HookContext,
  type ModelOverride,
  type PromptParts,
  type SessionRecord,
  type ThinkingLevel,
  type ToolContext,
} from '../../../sdk/index.ts';
import type { Generation, Lease } from '../../kernel/generation.ts';
import { withoutReport } from '../ledger/context-report.ts';
import { chooseModelRef } from '../models/model-choice.ts';
import { profileWish } from '../models/profile-use.ts';
import { readableDirs } from '../prompt/readable-dirs.ts';
import type { Run } from '../run.ts';
import type { RunRequest } from '../run-request.ts';
import { agentEntry, agentWorkspaceDir } from '../settings.ts';
import { subagentRole } from '../subagents/subagents-row.ts';
import { requestApproval } from '../tools/approval.ts';
import { createToolPolicy, narrowToolPolicy } from '../tools/tool-policy.ts';
import { collectTools, type ToolSet } from '../tools/tools.ts';
import { createRecorder, type Recorder } from './recorder.ts';
import { buildRunPrompt } from './run-prompt.ts';
import type { Turn, TurnDeps, TurnState } from './turn-state.ts';
import { userMessage } from './user-message.ts';

/**
 * Everything before the model: engine, user entry, working folder, model, tools, prompt. The engine sees the session before the new entry is
 * written; an engine that fails costs the run but not the user's words. undefined: a hook has answered.
 */
export async function prepareTurn(
  deps: TurnDeps,
  run: Run,
  lease: Lease,
  state: TurnState,
  session: SessionRecord,
  resume: boolean,
): Promise<Turn | undefined> {
  const { generation } = lease;
  const { config, hooks } = generation;
  const { request } = run;
  const { agentId, runId } = run.accepted;
  const { message: prompt } = request;
  const agent = agentEntry(config, agentId);
  const workspaceDir = agentWorkspaceDir(config, agentId, deps.paths);
  await deps.sessions.repair(session);
  const hookContext: HookContext = {
    runId,
    agentId,
    sessionKey: session.key,
    sessionId: session.sessionId,
    workspaceDir,
    trigger: request.trigger ?? 'user',
    signal: run.signal,
    ...(request.channel === undefined ? {} : { messageProvider: request.channel, channelId: request.channel }),
  };
  const recorder = createRecorder({ sessions: deps.sessions, session, hooks, context: hookContext });
  Object.assign(state, { deps, run, generation, hookContext, recorder });

  const opening = { generation, session, context: hookContext, signal: run.signal, isHeartbeat: request.trigger === 'heartbeat' };
  const opened = await deps.engines.open(opening).then(
    (engine) => ({ engine }),
    (error: unknown) => ({ error }),
  );
  const entry = resume ? undefined : await recorder.message(userMessage(request, deps.now(), run.answers));
  if ('error' in opened) throw opened.error;
  const { engine } = opened;
  state.engine = engine;
  state.totals.problems.push(...engine.takeProblems());
  if (entry !== undefined) await engine.deliver([entry]);
  await deps.workspaces.ensure(workspaceDir);

  if (!resume && hooks.has('before_agent_reply')) {
    const claim = await hooks.call('before_agent_reply', { cleanedBody: prompt }, hookContext);
    if (claim?.handled === true) {
      await recordClaim(state as Turn, replyText(claim.reply), deps.now());
      return undefined;
    }
  }

  const hook = await modelHooks(generation, hookContext, recorder, prompt);
  const ref = chooseModelRef({ config, agentId, session, requested: request.model, hook });
  const model = await deps.models.resolve(generation, ref, profileWish(session, ref, request));
  const level = request.thinking ?? (session.thinkingLevel as ThinkingLevel | undefined) ?? agent?.thinkingDefault ?? config.agents.defaults.thinkingDefault;
  const thinking = model.entry.reasoning ? level : undefined;
  const collecting = toolsOf(deps, run, generation, session, hookContext, workspaceDir);
  const schemas = collecting.then((set) => set.schemas);
  const { extraSystemPrompt: extra, skills } = request;
  const [tools, built] = await Promise.all([
    collecting,
    buildRunPrompt(deps, { generation, session, agentId, workspaceDir, modelRef: model.ref, thinking, tools: schemas, extra, skills }),
  ]);
  const turn: Turn = {
    deps,
    run,
    session,
    generation,
    hookContext,
    recorder,
    engine,
    model,
    thinking,
    tools,
    prompt: built,
    promptParts: hook,
    totals: state.totals,
  };
  Object.assign(state, turn);
  return turn;
}

/** Both hooks that may choose the model; the older one may speak about the prompt as well. */
async function modelHooks(generation: Generation, context: HookContext, recorder: Recorder, prompt: string): Promise<PromptParts & ModelOverride> {
  const { hooks } = generation;
  const chosen = hooks.has('before_model_resolve') ? await hooks.call('before_model_resolve', { prompt }, context) : undefined;
  const started = hooks.has('before_agent_start')
    ? await hooks.call('before_agent_start', { prompt, messages: (await recorder.history()).messages }, context)
    : undefined;
  return { ...started, ...chosen };
}

function toolsOf(deps: TurnDeps, run: Run, generation: Generation, session: SessionRecord, hookContext: HookContext, workspaceDir: string): Promise<ToolSet> {
  const { config } = generation;
  const { request } = run;
  const { agentId, runId } = run.accepted;
  const settings = withoutReport(session.extra);
  return collectTools({
    generation,
    policy: narrowToolPolicy(createToolPolicy(config, agentEntry(config, agentId)?.tools, subagentRole(config, session)), request.toolRules),
    log: deps.log,
    context: {
      config,
      workspaceDir,
      agentId,
      sessionKey: session.key,
      sessionId: session.sessionId,
      runId,
      sandboxed: false,
      ...(settings === undefined ? {} : { sessionSettings: settings }),
      ...(request.channel === undefined ? {} : { messageChannel: request.channel, deliveryContext: deliveryContext(request.channel, request) }),
      ...(request.accountId === undefined ? {} : { agentAccountId: request.accountId }),
      ...(request.senderId === undefined ? {} : { requesterSenderId: request.senderId }),
      ...(request.senderIsOwner === undefined ? {} : { senderIsOwner: request.senderIsOwner }),
      readableDirs: () => readableDirs(generation, { agentId, sessionKey: session.key, workspaceDir }, deps.log),
      async requestApproval(question) {
        const { outcome, ...decision } = await requestApproval(generation, question, hookContext, deps.now);
        return decision;
      },
    },
  });
}

function deliveryContext(channel: string, { to, accountId, threadId, replyToId }: RunRequest): NonNullable<ToolContext['deliveryContext']> {
  return {
    channel,
    ...(to === undefined ? {} : { to }),
    ...(accountId === undefined ? {} : { accountId }),
    ...(threadId === undefined ? {} : { threadId }),
    ...(replyToId === undefined ? {} : { messageId: replyToId }),
  };
}

/** What a hook answered in the model's place is part of the conversation like any reply. Without a text the turn stays silent. */
async function recordClaim({ run, recorder, engine, totals }: Turn, text: string | undefined, timestamp: number): Promise<void> {
  if (text === undefined || text === '') return;
  totals.texts.push(text);
  totals.stopReason = 'stop';
  run.emit('assistant', { text, delta: text });
  const origin = { api: 'hook', provider: 'hook', model: 'before_agent_reply' };
  const entry = await recorder.message({ role: 'assistant', content: [{ type: 'text', text }], ...origin, usage: emptyUsage(), stopReason: 'stop', timestamp });
  if (entry !== undefined) await engine.deliver([entry]);
}

function replyText(reply: unknown): string | undefined {
  if (typeof reply === 'string') return reply;
  const text = (reply as { text?: unknown } | null | undefined)?.text;
  return typeof text === 'string' ? text : undefined;
}
