import type { RunRequest, RunResult } from '../run-request.ts';

/**
 * Messages share a turn, or are put into a running one, only when the answer goes to the same place and the turn would be run the same way with
 * the same rights.
 */
export function routeOf(request: RunRequest): string {
  const { channel, accountId, to, threadId, deliver, senderIsOwner, senderAllowed, scopes, toolRules } = request;
  const { model, authProfile, thinking, fast, timeoutSeconds, lane, shown, provenance } = request;
  const rights = [senderIsOwner, senderAllowed, scopes, toolRules];
  const way = [model, authProfile, thinking, fast, timeoutSeconds, lane, shown?.verboseLevel, shown?.reasoningLevel, provenance?.kind];
  return JSON.stringify([channel, accountId, to, threadId, deliver, ...rights, ...way]);
}

/** One request for all of them, which goes by the last one's id. Never empty. `summary`: what was dropped before them. */
export function mergeRequests(requests: readonly [...RunRequest[], RunRequest], summary?: string): RunRequest {
  const last = requests.at(-1) as RunRequest;
  const texts = requests.length === 1 ? [last.message] : [frame(requests)];
  if (summary !== undefined) texts.unshift(summary);
  const images = requests.flatMap((request) => request.images ?? []);
  const preface = requests.flatMap((request) => request.preface ?? []);
  const extra = new Set(requests.flatMap(({ extraSystemPrompt }) => (extraSystemPrompt === undefined ? [] : [extraSystemPrompt])));
  return {
    ...last,
    message: texts.join('\n\n'),
    ...(images.length === 0 ? {} : { images }),
    ...(preface.length === 0 ? {} : { preface }),
    ...(extra.size === 0 ? {} : { extraSystemPrompt: [...extra].join('\n\n') }),
  };
}

function frame(requests: readonly RunRequest[]): string {
  const blocks = requests.map(({ message, senderName, images = [] }, index) => {
    const pictures = images.length === 0 ? '' : ` [${images.length} ${images.length === 1 ? 'image' : 'images'}]`;
    return `(${index + 1})${senderName === undefined ? '' : ` ${senderName}:`}${pictures} ${message}`;
  });
  return [`[${requests.length} messages came while you were busy; answer them together, oldest first]`, ...blocks].join('\n\n');
}

/** What a run came to whose message went into another run's turn. */
export function joinedResult(
  run: { runId: string; sessionKey: string; sessionId: string; acceptedAt: number },
  how: { stopReason: 'collected' | 'steered' | 'summarized'; joinedRunId?: string },
  now: number,
): RunResult {
  const { runId, sessionKey, sessionId, acceptedAt } = run;
  return {
    runId,
    sessionKey,
    sessionId,
    status: 'ok',
    startedAt: acceptedAt,
    endedAt: now,
    payloads: [],
    meta: { durationMs: now - acceptedAt, aborted: false, ...how, agentMeta: { sessionId } },
  };
}
