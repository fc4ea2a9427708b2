import { durarError } from '../../../sdk/errors.ts';
import { type AgentMessage, messageText } from '../../../sdk/messages.ts';
import type { Action } from '../command.ts';
import { printable } from '../printable.ts';
import { openRpc } from '../rpc.ts';

interface SessionRow {
  key: string;
  updatedAt: number | null;
  sessionId?: string;
  label?: string;
  modelProvider?: string;
  model?: string;
  totalTokens?: number;
  status?: string;
}

const DEFAULT_LIMIT = 50;
const MINUTE_MS = 60_000;

/** `durar sessions list`. The gateway owns the session store, so it is asked. */
export const sessionsList: Action = async (context) => {
  const { output } = context;
  const { agent, active, limit } = context.options as { agent?: string; active?: number; limit?: number };
  const rpc = await openRpc(context);
  try {
    const payload = (await rpc.call('sessions.list', {
      limit: limit ?? DEFAULT_LIMIT,
      ...(agent === undefined ? {} : { agentId: agent }),
      ...(active === undefined ? {} : { activeMinutes: active }),
    })) as { count: number; sessions: SessionRow[] };
    output.result(payload, () => {
      if (payload.sessions.length === 0) return output.line('There are no sessions yet.');
      output.table(
        ['session', 'used', 'model', 'tokens', 'status', 'id'],
        payload.sessions.map((row) => [
          output.paint.info(printable(row.key)),
          row.updatedAt === null ? '-' : describeAge(Date.now() - row.updatedAt),
          [row.modelProvider, row.model].filter(Boolean).join('/') || '-',
          row.totalTokens === undefined ? '-' : row.totalTokens.toLocaleString('en'),
          row.status ?? '-',
          row.sessionId ?? '-',
        ]),
      );
    });
  } finally {
    rpc.close();
  }
};

/** `durar sessions show [key]` */
export const sessionsShow: Action = async (context) => {
  const { output, args, options } = context;
  const rpc = await openRpc(context);
  try {
    const key = args[0] ?? 'main';
    const payload = (await rpc.call('sessions.get', { key, ...(options.limit === undefined ? {} : { limit: options.limit }) })) as {
      messages: AgentMessage[];
      session?: SessionRow;
    };
    // The main one is there from the start, if empty.
    if (payload.session === undefined && args[0] !== undefined) throw durarError('DUR_SESSION_UNKNOWN', { key });
    output.result(payload, () => {
      if (payload.messages.length === 0) output.line(`The session '${key}' has no messages.`);
      for (const message of payload.messages) {
        const { role, timestamp } = message;
        const name = role === 'user' ? output.paint.accent('user') : output.paint.muted(role === 'toolResult' ? `tool ${message.toolName}` : role);
        output.line(`${name}${output.paint.muted(`  ${new Date(timestamp).toISOString()}`)}`);
        const text = messageText(message);
        if (text !== '') output.line(printable(text).replace(/^/gm, '  '));
      }
    });
  } finally {
    rpc.close();
  }
};

/** `3 min`, `2 h`, `5 d`. */
function describeAge(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / MINUTE_MS));
  if (minutes < 1) return 'now';
  if (minutes < 60) return `${minutes} min`;
  return minutes < 1440 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}
