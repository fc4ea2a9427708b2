import type { QueueView } from './gateway-view.ts';

/** `2 running, 5 waiting (oldest 12 s), 1 reply to send, 1 given up`. */
export function describeQueue({ lanes, sessions, queued, backlog, inbox, outbox }: QueueView): string {
  const running = lanes.reduce((sum, lane) => sum + lane.running, 0);
  const waiting = lanes.reduce((sum, lane) => sum + lane.waiting, sessions.waiting + queued + backlog);
  const oldest = Math.max(0, sessions.oldestWaitMs ?? 0, ...lanes.map(({ oldestWaitMs = 0 }) => oldestWaitMs));
  const toSend = outbox.pending + outbox.sending;
  const dead = inbox.dead + outbox.dead;
  return [
    `${running} running`,
    `${waiting} waiting${oldest === 0 ? '' : ` (oldest ${Math.round(oldest / 1000)} s)`}`,
    ...(toSend === 0 ? [] : [`${toSend} ${toSend === 1 ? 'reply' : 'replies'} to send`]),
    ...(dead === 0 ? [] : [`${dead} given up, see \`durar queue list\``]),
  ].join(', ');
}
