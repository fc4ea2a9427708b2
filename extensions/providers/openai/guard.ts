import type { ProviderEvent, ProviderRequest, StreamOptions } from 'Durar/plugin-sdk/core';
import { BadReply, ProviderStream } from 'Durar/plugin-sdk/provider-stream';
import { failureOf } from './failure.ts';

/** Runs one stream so that it ends with exactly one `done` or `error`, whatever the SDK and the server do. */
export async function* guarded(
  request: ProviderRequest,
  { signal }: StreamOptions,
  run: (reply: ProviderStream) => AsyncGenerator<ProviderEvent>,
): AsyncGenerator<ProviderEvent> {
  const reply = new ProviderStream(request.model);
  try {
    signal.throwIfAborted();
    yield reply.start();
    for await (const event of run(reply)) {
      yield event;
      if (event.type === 'done' || event.type === 'error') return;
      signal.throwIfAborted();
    }
    // the SDK ends an aborted stream without a word
    signal.throwIfAborted();
    yield reply.failed({ kind: 'timeout', text: 'the stream ended before the reply was complete' });
  } catch (error) {
    if (signal.aborted) yield reply.aborted();
    else if (error instanceof BadReply) yield reply.failed({ kind: 'format', text: error.message });
    else yield reply.failed(failureOf(error, request.apiKey));
  }
}
