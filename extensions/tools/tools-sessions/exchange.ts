import { errorText, type PluginLogger, type PluginRuntime } from 'Durar/plugin-sdk/core';

/** Two sessions that answer each other, after one of them sent a message to the other. */
export interface Exchange {
  from: string;
  to: string;
  /** Of the first answer. */
  runId: string;
  /** Answers after the first one, at most. */
  turns: number;
}

/** Carries answers to and fro until one side has nothing to say or the turns are used up. Goes on behind the tool call that began it. */
export type Exchanges = (exchange: Exchange) => void;

/** A reply that is exactly this ends an exchange; the silent reply does too. */
const ENDS: ReadonlySet<string> = new Set(['REPLY_SKIP', 'NO_REPLY']);
/** The longest that one answer is waited for. */
const WAIT_MS = 3_600_000;

export function createExchanges({ runtime, log, ended }: { runtime: Pick<PluginRuntime, 'sessions'>; log: PluginLogger; ended: AbortSignal }): Exchanges {
  async function carry({ from, to, runId: first, turns }: Exchange): Promise<void> {
    let runId = first;
    let speaker = to;
    for (let turn = 1; turn <= turns && !ended.aborted; turn += 1) {
      const { status, text } = await runtime.sessions.reply({ runId, timeoutMs: WAIT_MS });
      if (status !== 'ok' || text === undefined || ENDS.has(text.trim())) return;
      const listener = speaker === to ? from : to;
      const extraSystemPrompt = `This message is the answer of the session ${speaker}, turn ${turn} of ${turns} of an exchange between sessions. Your reply is sent back to it. When there is nothing more to say to it, reply exactly REPLY_SKIP.`;
      ({ runId } = await runtime.sessions.send({ sessionKey: listener, message: text, fromSessionKey: speaker, extraSystemPrompt }));
      speaker = listener;
    }
  }

  return (exchange) => {
    carry(exchange).catch((error: unknown) => {
      if (!ended.aborted) log.warn(`an exchange between two sessions ended early: ${errorText(error)}`, { from: exchange.from, to: exchange.to });
    });
  };
}
