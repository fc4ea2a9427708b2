import { answerLost, connectionFailure, SlackError, statusFailure } from './failure.ts';

export interface WireRequest {
  /** For errors: what is asked for. */
  method: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Longest answer that is taken. */
  maxBytes: number;
}

/** Sends one request and takes the whole answer; only a success comes back. It throws `SlackError` alone. */
export async function exchange(url: string, init: RequestInit, { method, timeoutMs, signal, maxBytes }: WireRequest): Promise<Response> {
  const timeout = AbortSignal.timeout(timeoutMs);
  let answer: Response;
  try {
    answer = await fetch(url, { ...init, redirect: 'manual', signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]) });
  } catch (error) {
    throw connectionFailure(method, error, { timedOut: timeout.aborted, aborted: signal?.aborted === true });
  }
  if (answer.status >= 300 && answer.status < 400 && answer.headers.has('location')) return answer;
  if (!answer.ok) {
    await answer.body?.cancel();
    throw statusFailure(method, answer.status, answer.headers.get('retry-after'));
  }
  const body = await readBody(answer, maxBytes, method);
  return new Response(body, { headers: answer.headers });
}

async function readBody(answer: Response, maxBytes: number, method: string): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of answer.body ?? []) {
      size += part.length;
      // leaving the loop closes the connection
      if (size > maxBytes) throw tooLarge(maxBytes);
      parts.push(part);
    }
  } catch (error) {
    throw error instanceof SlackError ? error : answerLost(method);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

export function tooLarge(maxBytes: number): SlackError {
  return new SlackError('SLACK_FILE_SIZE', `the file is larger than ${Math.round((maxBytes / 1024 / 1024) * 10) / 10} MB`, {
    hint: 'Raise channels.slack.mediaMaxMb, or send a smaller file.',
  });
}
